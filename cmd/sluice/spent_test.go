package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
)

// TestWhatTheBudgetCannotStartIsNotBound: more is asked for than the provider's
// limit lets two workers call. What has to wait stays unbound: no attempt is counted
// without a call, spends that wait are charged together, the provider is kept busy all
// the same, refunds have their share, and nobody is forgotten.
func TestWhatTheBudgetCannotStartIsNotBound(t *testing.T) {
	t.Parallel()
	const perSecond = 60
	crowd := longer(60, 200)
	lasts, rate := longer(4*time.Second, 30*time.Second), longer(960, 240)
	recorder := newRecorder(t, 0, 0)
	f := newFarm(t, "SLUICE_REVENUECAT_URL="+recorder.URL+"/v2")
	recorder.aim(f.simAddr)
	workers := []string{freeAddr(t), freeAddr(t)}
	for _, addr := range workers {
		launch(t, append(slices.Clone(f.env), "SLUICE_METRICS_ADDR="+addr), "work")
	}
	launch(t, f.env, "relay")
	f.faults(fmt.Sprintf(`{"delay":"200ms","rate_per_minute":%d}`, rate))
	players, start := f.rich(crowd)
	for _, player := range players {
		f.get(t, player, "/wallet") // as a store page does: from then on the balance is known
	}
	db := f.database()
	began := time.Now()
	p, stop := f.drip(t, "tap", players, time.Second/perSecond, "respond-async")
	pass(t, lasts)
	stop()
	pressed := time.Now()
	require.Empty(t, p.strange)
	awaitRest(t, db, longer(2*time.Minute, 15*time.Minute))
	spends := len(f.requireExact(t, db, start))

	recorder.mu.Lock()
	calls := slices.Clone(recorder.calls)
	recorder.mu.Unlock()
	attempts := count(t, db, "SELECT sum(attempts) FROM adjustments")
	refunds := count(t, db, "SELECT count(*) FROM adjustments WHERE purpose = 'refund'")
	together := float64(spends) / float64(count(t, db, "SELECT count(*) FROM adjustments WHERE purpose = 'charge'"))
	t.Logf("%d spends and %d refunds of %d players in %d calls: %.2f spends per charge; %d attempts without a call",
		spends, refunds, crowd, len(calls), together, attempts-len(calls))
	t.Logf("charged after %s, all took %s", waits(t, db), time.Since(began).Round(time.Millisecond))
	busy := busyShare(calls, began.Add(lasts/2), pressed, rate)
	t.Logf("%.0f %% of the limit was used while more waited", 100*busy)
	guards, commits := map[string]int{}, 0
	for _, addr := range workers {
		commits += committed(t, f.client, addr, guards)
	}
	t.Logf("%.2f commits per spend, for %v", float64(commits)/float64(spends), guards)

	// A permit that lapses before its call starts, on a machine held up for a quarter
	// of a second, is the one way to an attempt without a call.
	require.LessOrEqual(t, attempts-len(calls), len(calls)/10, "attempts are counted that were none")
	require.Positive(t, refunds)
	require.Greater(t, together, 1.5)
	// The burst at the start is paid for in its minute: a tenth is not there to be used.
	require.Greater(t, busy, longer(0.5, 0.8), "the provider was idle while spends waited")
}

// busyShare is how much of what a limit a minute lets start was started between two moments.
func busyShare(calls []time.Time, from, to time.Time, perMinute int) float64 {
	started := 0
	for _, at := range calls {
		if at.After(from) && at.Before(to) {
			started++
		}
	}
	return float64(started) / (to.Sub(from).Minutes() * float64(perMinute))
}

// waits says how long spends waited for their charge.
func waits(t testing.TB, db *sqlx.DB) string {
	t.Helper()
	var took struct{ Half, Most float64 }
	require.NoError(t, db.GetContext(t.Context(), &took, `SELECT
		percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM charged_at - accepted_at)) AS half,
		percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM charged_at - accepted_at)) AS most
		FROM spends WHERE charged_at IS NOT NULL`))
	return fmt.Sprintf("%.1f s, 99th percentile %.1f s", took.Half, took.Most)
}

var (
	effectsLine = regexp.MustCompile(`(?m)^sluice_outbox_effects_total\{guard="(\w+)",result="applied"\} (\d+)`)
	commitsLine = regexp.MustCompile(`(?m)^sluice_outbox_batch_effects_count (\d+)`)
)

// committed reads from the /metrics at an address how many commits were made, and
// adds to guards what for.
func committed(t testing.TB, client *http.Client, addr string, guards map[string]int) (commits int) {
	t.Helper()
	answer, err := client.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	number := func(digits []byte) int {
		n, err := strconv.Atoi(string(digits))
		require.NoError(t, err)
		return n
	}
	for _, match := range effectsLine.FindAllSubmatch(raw, -1) {
		guards[string(match[1])] += number(match[2])
	}
	match := commitsLine.FindSubmatch(raw)
	require.NotNil(t, match, "%s", raw)
	return number(match[1])
}
