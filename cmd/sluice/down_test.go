package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestProviderDownIsNoOutageOfOurs: while the provider is down, 20 spends a second
// of 100 players are accepted as ever, none is given up, and everything that
// operators look at says what is wrong. All are final within a minute of its return.
func TestProviderDownIsNoOutageOfOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	players, start := s.rich(100)
	db := s.database()
	p, stop := s.drip(t, "drip", players, time.Second/20, "respond-async")
	require.Eventually(t, func() bool { return p.answered.Load() >= 20 }, startPatience, tick)

	s.faults(`{"down":true}`)
	down, before := time.Now(), p.answered.Load()
	outage := longer(8*time.Second, 2*time.Minute)
	require.Eventually(t, func() bool {
		r, err := s.send(http.MethodGet, "/metrics", "")
		return err == nil && metric(r.raw, "sluice_provider_circuit_state") > 0 &&
			metric(r.raw, `sluice_provider_calls_total{op="adjust",outcome="unknown",status="0"}`) > 0
	}, outage, 5*tick, "metrics do not say it")
	pass(t, outage-time.Since(down))
	ready, err := s.send(http.MethodGet, "/readyz", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, ready.code, ready)
	require.Regexp(t, `"provider":"does not answer, circuit (open|half-open)"`, ready.raw)
	require.True(t, s.log.has(`"msg":"provider is down: circuit open"`), "the log does not say it")
	accepted := p.answered.Load() - before
	t.Logf("%d accepted in %s without a provider", accepted, outage)
	require.Greater(t, float64(accepted), 10*outage.Seconds())

	s.faults(`{}`)
	returned := time.Now()
	pass(t, 2*time.Second) // they press on
	stop()
	require.Empty(t, p.strange)
	require.Zero(t, p.broken.Load())
	require.Zero(t, p.again.Load(), "some were sent away")
	awaitRest(t, db, time.Minute-time.Since(returned))
	t.Logf("all final %s after its return", time.Since(returned))
	require.Len(t, s.requireExact(t, db, start), int(p.answered.Load()))
	r, err := s.send(http.MethodGet, "/metrics", "")
	require.NoError(t, err)
	require.Zero(t, metric(r.raw, "sluice_provider_circuit_state"))
}

// metric reads one series out of a scrape; -1: it is not there.
func metric(scrape, series string) float64 {
	for line := range strings.Lines(scrape) {
		if text, found := strings.CutPrefix(line, series+" "); found {
			if value, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				return value
			}
		}
	}
	return -1
}
