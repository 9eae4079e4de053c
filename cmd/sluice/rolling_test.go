package main

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestRollingRestartShowsNoErrorToAClient: 100 spends a second come through a load
// balancer that repeats nothing, while every process of every role is stopped by
// SIGTERM and started again, one after the other. No client sees an error, every
// answer was right, and the books balance. It takes about 20 seconds.
func TestRollingRestartShowsNoErrorToAClient(t *testing.T) {
	t.Parallel()
	f := newFarm(t, "SLUICE_HTTP_DRAIN_GRACE=3s") // the default
	second := freeAddr(t)
	roles := []*restarted{
		{addr: f.apiAddr, program: f.serve},
		f.add("SLUICE_HTTP_ADDR", second, "serve"),
		f.add("SLUICE_METRICS_ADDR", freeAddr(t), "work"),
		f.add("SLUICE_METRICS_ADDR", freeAddr(t), "work"),
		f.add("SLUICE_METRICS_ADDR", freeAddr(t), "relay"),
	}
	for _, role := range roles {
		role.awaitReady(&f.site)
	}
	balancer := newBalancer(t, f.apiAddr, second)
	through := f.site
	through.apiAddr = balancer.addr
	players, start := f.rich(40)
	db := f.database()
	waiting, stopWaiting := through.drip(t, "waiting", players, 20*time.Millisecond, "wait=5")
	async, stopAsync := through.drip(t, "async", players, 20*time.Millisecond, "respond-async")
	answered := func() int64 { return waiting.answered.Load() + async.answered.Load() }
	require.Eventually(t, func() bool { return answered() > 100 }, startPatience, tick)

	for _, role := range roles {
		before := answered()
		role.restart(t, f)
		require.Eventually(t, balancer.allReady, startPatience, tick) // it looks now and then
		require.Greater(t, answered(), before, "nobody was served while %s restarted", role.program)
	}
	before := answered()
	f.nats.signal(syscall.SIGTERM)
	require.Zero(t, f.nats.exitCode(), f.nats.log.tail())
	f.startNATS()
	require.Eventually(t, func() bool { return answered() > before+50 }, startPatience, tick)
	stopWaiting()
	stopAsync()

	require.Empty(t, balancer.failures(), "a request through the load balancer")
	told := map[tap]spendView{}
	for _, p := range []*presses{waiting, async} {
		require.Empty(t, p.strange)
		require.Zero(t, p.broken.Load(), "requests without an answer")
		require.Zero(t, p.again.Load(), "requests sent away")
		for pressed, spend := range p.spends {
			told[pressed] = spend
		}
	}
	awaitRest(t, db, time.Minute)
	spends := f.requireExact(t, db, start)
	require.Len(t, spends, int(answered()), "one spend per request")
	for _, row := range spends {
		answer, ok := told[tap{row.AppUserID, row.Item, row.Key}]
		require.True(t, ok, "no answer about %s", row.ID)
		if assert.Equal(t, row.ID, answer.ID) && economy.State(answer.State).Final() {
			assert.Equal(t, row.State, answer.State, "a final answer about %s", row.ID)
		}
	}
	t.Logf("%d spends", len(spends))
	for _, role := range roles { // all at once: the test is over
		role.program.signal(syscall.SIGTERM)
	}
}

// restarted is a process that is stopped and started again.
type restarted struct {
	addr    string // where it answers /readyz
	setting string // NAME=value of addr
	program *program
}

// add launches a role that answers /readyz where a setting says.
func (f *farm) add(name, addr, role string) *restarted {
	r := &restarted{addr: addr, setting: name + "=" + addr}
	r.program = launch(f.t, append(slices.Clone(f.env), r.setting), role)
	return r
}

// awaitReady returns when the process says that it is ready.
func (r *restarted) awaitReady(s *site) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		answer, err := s.client.Get("http://" + r.addr + "/readyz")
		return err == nil && answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	}, startPatience, tick, "%s is not ready\n%s", r.program, r.program.log.tail())
}

// restart is what a rolling restart does to one process.
func (r *restarted) restart(t *testing.T, f *farm) {
	t.Helper()
	began := time.Now()
	old := r.program
	old.signal(syscall.SIGTERM)
	require.Zero(t, old.exitCode(), "%s\n%s", old, old.log.tail())
	t.Logf("%s stopped after %s", old, time.Since(began).Round(time.Millisecond))
	_, end, said := strings.Cut(old.log.String(), `"msg":"stopping: `)
	require.True(t, said, "it does not say what it waits for")
	require.Contains(t, end, `"msg":"stopped"`)
	require.NotContains(t, end, `"level":"ERROR"`)
	env := slices.Clone(f.env)
	if r.setting != "" {
		env = append(env, r.setting)
	}
	r.program = launch(t, env, old.args...)
	r.awaitReady(&f.site)
}
