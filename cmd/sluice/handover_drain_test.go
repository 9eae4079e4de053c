package main

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// TestAStopFinishesTheHandOverInHand: the game's server takes nearly all the time there
// is for a grant, and again for the check that confirms it, when the only `work` there
// is hears SIGTERM. It waits for both answers, and the spend is fulfilled by the time it
// has ended. It takes 25 s, since the longest hand-over there may be is what it is about.
func TestAStopFinishesTheHandOverInHand(t *testing.T) {
	t.Parallel()
	servers, settings := games(t, "honest")
	f := newFarm(t, append(settings, "SLUICE_HANDOVER_TIMEOUT=10s", "SLUICE_HANDOVER_CONFIRM=honest", "SLUICE_CATALOG="+writeCatalog(t, gamesItems))...)
	addr := freeAddr(t)
	work := f.add("SLUICE_METRICS_ADDR", addr, "work")
	work.awaitReady(&f.site)
	servers["honest"].SetFaults(samplegame.Faults{Delay: samplegame.Duration(8500 * time.Millisecond)})
	f.give("sword", economy.Amounts{"GEM": 100})
	spend := f.buy(t, "sword", "sword")
	at := f.site
	at.apiAddr = addr
	require.Eventually(t, func() bool {
		r, err := at.send(http.MethodGet, "/metrics", "")
		return err == nil && metric(r.raw, `sluice_handover_in_hand_requests{endpoint="honest"}`) == 1
	}, startPatience, tick, "no grant is under way")
	require.Equal(t, samplegame.None, servers["honest"].Record(spend.ID).State, "it is granted already: this tests nothing")
	work.program.signal(syscall.SIGTERM)
	require.Zero(t, work.program.exitCode(), work.program.log.tail())
	require.False(t, work.program.log.has("committer is closed"), work.program.log.tail())
	require.Equal(t, "fulfilled", f.spendAt(t, "sword", "/spends/"+spend.ID, "fulfilled").State)
	require.Equal(t, map[string]int64{"sword": 1}, servers["honest"].Holds("sword"))
}

// TestAStopWaitsForAllThatADeliveryMayAsk, and compose.yml for the stop.
func TestAStopWaitsForAllThatADeliveryMayAsk(t *testing.T) {
	t.Parallel()
	const call, commits = 8 * time.Second, 10 * time.Second // of the provider; two of ours
	for _, c := range []struct {
		timeout time.Duration
		confirm []string
		want    time.Duration
	}{
		{5 * time.Second, nil, 6*time.Second + call + commits},                // a revoke and the credit
		{10 * time.Second, nil, 2*11*time.Second + commits},                   // a grant, and a check when patience is over
		{5 * time.Second, []string{"game"}, 2*6*time.Second + call + commits}, // a revoke, its check, the credit
		{10 * time.Second, []string{"game"}, 3*11*time.Second + commits},      // a grant and its check, and that again
	} {
		require.Equal(t, c.want, workDrain(config.HandOver{Timeout: c.timeout, Confirm: c.confirm}), c)
	}
	longest := workDrain(config.HandOver{Timeout: 10 * time.Second, Confirm: []string{"game"}})
	require.Greater(t, time.Duration(*composeProject(t).Services["work"].StopGracePeriod), longest+brokerClose)
}
