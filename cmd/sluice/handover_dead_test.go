package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/samplegame"
)

// bannersOf adds two items of one endpoint to the demo catalogue: one is given up
// during the outage, the other is not.
func bannersOf(patience time.Duration) string {
	return fmt.Sprintf(`
  brief_banner:   {price: {GEM: 20}, hand_over: {port: http, endpoint: dead, patience: %s}}
  patient_banner: {price: {GEM: 20}, hand_over: {port: http, endpoint: dead, patience: 30m}}
`, patience)
}

// TestADeadEndpointSlowsNobodyElse: a game's server is away for five minutes, half of
// the time with connections that hang, while 20 spends a second want its items. Those
// of other ports wait no longer than before, at the 99th percentile of one and the same
// run, and when it is back every player has the item or the gems. The time is compared
// in `make long`; a short run lasts seconds and only shows that everybody gets an answer.
func TestADeadEndpointSlowsNobodyElse(t *testing.T) {
	t.Parallel()
	servers, settings := games(t, "dead")
	game, timeout := servers["dead"], longer(500*time.Millisecond, 5*time.Second)
	settings = append(settings, "SLUICE_HANDOVER_TIMEOUT="+timeout.String(),
		"SLUICE_CATALOG="+writeCatalog(t, demoCatalogWith(t, bannersOf(longer(time.Second, 2*time.Minute)))))
	s := newSite(t, settings...).seed().up()
	db := s.database()
	players, start := s.rich(100)
	for i := range fans {
		s.give(fan(i), riches)
	}
	lasts := longer(time.Second, 30*time.Second)
	normal := func(name string, lasts time.Duration) []time.Duration {
		p, stop := s.drip(t, name, players, time.Second/20, "wait=30")
		pass(t, lasts)
		stop()
		require.Empty(t, p.strange)
		require.Zero(t, p.broken.Load())
		return p.took
	}
	normal("warm up", lasts)
	healthy := s.cheer(t, "healthy")
	alone := normal("alone", longer(lasts, 2*time.Minute))
	healthy()

	game.SetFaults(samplegame.Faults{Down: true})
	stop := s.cheer(t, "dead")
	outage := longer(2*time.Second, 150*time.Second)
	beside := normal("beside one that is down", outage)
	require.Positive(t, s.scrape(t, `sluice_handover_circuit_state{endpoint="dead"}`))
	game.SetFaults(samplegame.Faults{Delay: samplegame.Duration(2 * timeout)})
	beside = append(beside, normal("beside one that hangs", outage)...)
	stop()
	require.Positive(t, s.scrape(t, `sluice_handover_waiting_spends{endpoint="dead",state="charged"}`))
	require.Positive(t, s.scrape(t, `sluice_handover_waiting_spends{endpoint="dead",state="refunding"}`))

	game.SetFaults(samplegame.Faults{})
	returned := time.Now()
	awaitRest(t, db, 2*time.Minute)
	t.Logf("all at rest %s after its return", time.Since(returned).Round(time.Millisecond))
	for _, item := range []string{"brief_banner", "patient_banner"} {
		fulfilled, refunded := requireHandedOver(t, db, game, item)
		t.Logf("%s: %d fulfilled, %d refunded", item, fulfilled, refunded)
		require.Positive(t, fulfilled)
		require.Equal(t, item == "brief_banner", refunded > 0, "%d were refunded", refunded)
	}
	s.requireExact(t, db, start)
	ratio := float64(percentile99(beside)) / float64(percentile99(alone))
	t.Logf("p99 beside a healthy endpoint %s, beside a dead one %s: %.2f", percentile99(alone), percentile99(beside), ratio)
	require.Less(t, ratio, longer(math.Inf(1), 1.25))
}

// fans are players who want banners.
const fans = 100

func fan(i int) string { return fmt.Sprintf("fan-%03d", i%fans) }

// cheer has fans ask for 20 banners a second, of both sorts, until stop.
func (s *site) cheer(t *testing.T, name string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tokens := make([]string, fans)
	for i := range tokens {
		tokens[i] = session(t, fan(i))
	}
	p := &presses{spends: map[tap]spendView{}}
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(time.Second / 20)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			pressed := tap{fan(i), []string{"brief_banner", "patient_banner"}[(i+i/fans)%2], fmt.Sprintf("%s-%d", name, i)}
			group.Go(func() { s.press(t.Context(), p, pressed, tokens[i%fans], "respond-async") })
		}
	})
	return func() {
		t.Helper()
		cancel()
		group.Wait()
		require.Empty(t, p.strange)
	}
}

// scrape reads one series of /metrics.
func (s *site) scrape(t *testing.T, series string) float64 {
	t.Helper()
	r, err := s.send(http.MethodGet, "/metrics", "")
	require.NoError(t, err)
	return metric(r.raw, series)
}
