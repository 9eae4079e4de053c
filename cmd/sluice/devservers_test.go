package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/broker"
)

// TestDevStartsItsDatabaseAgain: PostgreSQL is killed twice under load, as the
// kernel does when memory runs out. Nobody restarts anything, and nothing is lost.
func TestDevStartsItsDatabaseAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	players, start := s.rich(20)
	p, stop := s.drip(t, "drip", players, time.Second/20, "respond-async")
	for kill := range 2 {
		answered := p.answered.Load()
		require.Eventually(t, func() bool { return p.answered.Load() > answered+20 }, time.Minute, tick)
		require.NoError(t, syscall.Kill(s.postmaster(), syscall.SIGKILL))
		require.Eventually(t, func() bool {
			return strings.Count(s.log.String(), `"msg":"the server runs again","server":"PostgreSQL"`) == kill+1
		}, time.Minute, tick, "it is not started again")
	}
	require.True(t, s.log.has(`"msg":"a server has ended by itself: starting it again","server":"PostgreSQL","error":"signal: killed"`))
	answered := p.answered.Load()
	require.Eventually(t, func() bool { return p.answered.Load() > answered+20 }, time.Minute, tick)
	stop()
	require.Empty(t, p.strange)
	require.Zero(t, p.broken.Load(), "requests without an answer")
	t.Logf("%d answers, %d times sent away", p.answered.Load(), p.again.Load())
	db := s.database()
	awaitRest(t, db, time.Minute)
	require.Len(t, s.requireExact(t, db, start), int(p.answered.Load()))
}

// postmaster is the process id of the private PostgreSQL.
func (s *site) postmaster() (pid int) {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.folder, "postgres", "data", "postmaster.pid"))
	require.NoError(s.t, err)
	_, err = fmt.Sscan(string(raw), &pid)
	require.NoError(s.t, err)
	return pid
}

// TestDevStartsItsBrokerAgain: on the port that its clients know.
func TestDevStartsItsBrokerAgain(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	keeper, server, err := keepNATS(log, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keeper.Stop(context.WithoutCancel(t.Context()))) })
	conn, err := broker.Connect(t.Context(), broker.Config{URL: server.URL(), Log: log})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	require.Eventually(t, conn.Connected, startPatience, tick)
	server.Stop()
	require.Eventually(t, func() bool {
		return conn.Connected() && conn.Reconcile(t.Context(), durables(specs)) == nil
	}, startPatience, tick)
}

// TestDevStopsQuietly: Ctrl-C ends it in order, with nothing that looks like an
// error, though somebody keeps a connection open that was never used.
func TestDevStopsQuietly(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.openUnused(t)
	began := time.Now()
	s.signal(syscall.SIGINT)
	require.Zero(t, s.exitCode(), s.log.tail())
	took := time.Since(began)
	t.Logf("stopped after %s", took)
	require.Less(t, took, longer(10*time.Second, 3*time.Second), "a busy machine may take longer than make long allows")
	require.True(t, s.log.has(`"msg":"stopped","role":"dev"`))
	for _, bad := range []string{`"level":"WARN"`, `"level":"ERROR"`, "sluice: "} {
		require.False(t, s.log.has(bad), s.log.tail())
	}
}

// TestStopDuringTheStart: Ctrl-C while the cluster is made is no failure, and the
// next start makes it.
func TestStopDuringTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dev := launch(t, s.env, "dev", "--simulator-addr", s.simAddr)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(s.folder, "postgres", "data.new"))
		return err == nil
	}, startPatience, time.Millisecond)
	dev.signal(syscall.SIGINT)
	require.Zero(t, dev.exitCode(), dev.log.tail())
	require.True(t, dev.log.has("stopped before it was ready"), dev.log.String())
	s.up()
}
