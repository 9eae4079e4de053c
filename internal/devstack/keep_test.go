package devstack_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// TestKilledServerIsStartedAgain: by kill -9 of the server's process, twice, with
// what was committed.
func TestKilledServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	k, url, err := devstack.KeepPostgres(t.Context(), devstack.PostgresConfig{DataDir: dir, Durable: true, Template: template})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Stop(context.WithoutCancel(t.Context())), "a second stop") })
	remember(t, url)
	for range 2 {
		pid := serverPid(t, dir)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 1})
			if err != nil {
				return false
			}
			defer func() { _ = db.Close() }()
			var n int
			return db.GetContext(t.Context(), &n, `SELECT count(*) FROM remembered`) == nil && n == 1 && serverPid(t, dir) != pid
		}, time.Minute, 20*time.Millisecond, "the server is not back with its data")
	}
	require.NoError(t, k.Stop(t.Context()))
	require.Empty(t, k.GaveUp())
	require.NoFileExists(t, filepath.Join(dir, "data", "postmaster.pid"), "it was started again after the stop")
}

// crashing is a server that ends at once, or does not start at all.
type crashing struct {
	starts int
	err    error
}

func (c *crashing) start(context.Context) (devstack.Running, error) {
	c.starts++
	done := make(chan struct{})
	close(done)
	return devstack.Running{
		Done: done, Why: func() error { return errors.New("it crashed") },
		Stop: func(context.Context) error { return nil },
	}, c.err
}

// TestServerThatDoesNotStayIsGivenUp: after five starts, and says why.
func TestServerThatDoesNotStayIsGivenUp(t *testing.T) {
	t.Parallel()
	for why, err := range map[string]error{"it crashed": nil, "no room on the disk": errors.New("no room on the disk")} {
		c := &crashing{err: err}
		first, _ := c.start(t.Context())
		k := devstack.KeepWaiting(slog.New(slog.DiscardHandler), "the server", first, c.start, time.Millisecond)
		assert.EqualError(t, <-k.GaveUp(), "the server was started 5 times within 1m0s and does not stay: "+why)
		require.NoError(t, k.Stop(t.Context()))
		assert.Equal(t, 6, c.starts, "the first, and five")
	}
}

// TestStopEndsTheWaitForAnotherStart: a stop comes while the server is down.
func TestStopEndsTheWaitForAnotherStart(t *testing.T) {
	t.Parallel()
	c := &crashing{err: errors.New("not now")}
	first, _ := c.start(t.Context())
	k := devstack.KeepWaiting(slog.New(slog.DiscardHandler), "the server", first, c.start, time.Hour)
	require.NoError(t, k.Stop(t.Context()))
	require.Empty(t, k.GaveUp())
}
