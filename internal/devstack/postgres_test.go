package devstack_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
)

func TestServerKeepsItsDataOverStopAndStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	p := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})
	url := p.URL("")
	remember(t, url)
	require.NoError(t, p.Stop(t.Context()))
	require.NoError(t, p.Stop(t.Context()), "a second stop does nothing")

	again := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})
	assert.Equal(t, url, again.URL(""), "the address stays")
	assert.Equal(t, 1, recall(t, again.URL("")))
}

// /root is such a folder: mode 0700, and the server runs as somebody else.
func TestServerStartsBelowAFolderItsUserMayNotEnter(t *testing.T) {
	t.Parallel()
	private := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.Mkdir(private, 0o700))
	p := start(t, devstack.PostgresConfig{DataDir: filepath.Join(private, "deep", "postgres"), Durable: true})
	remember(t, p.URL(""))
	assert.Equal(t, 1, recall(t, p.URL("")))
}

func TestServerStartsForAnUnprivilegedUser(t *testing.T) {
	t.Parallel()
	const nobody = 65534 // initdb wants a user that has a name
	uid := os.Geteuid()
	if uid == 0 {
		uid = nobody
	}
	h := runHelper(t, helperServe, filepath.Join(publicDir(t, uid), "postgres"), uid)
	url := h.says(t)
	require.True(t, strings.HasPrefix(url, "postgres:///"), url)
	remember(t, url)
	require.NoError(t, h.stdin.Close())
	require.NoError(t, h.cmd.Wait())
}

func TestSettingsReachTheServer(t *testing.T) {
	t.Parallel()
	p := start(t, devstack.PostgresConfig{
		DataDir: filepath.Join(t.TempDir(), "postgres"), Durable: true,
		Settings: map[string]string{"shared_buffers": "64MB", "deadlock_timeout": "50ms"},
	})
	db := open(t, p.URL(""))
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "2GB", "min_wal_size": "1GB", "max_connections": "200",
		"shared_buffers": "64MB", "deadlock_timeout": "50ms",
		"listen_addresses": "", "server_encoding": "UTF8", "TimeZone": "UTC",
	} {
		var got string
		require.NoError(t, db.GetContext(t.Context(), &got, `SELECT current_setting($1)`, setting))
		assert.Equal(t, want, got, setting)
	}
}

// The kernel's death signal is tied to the thread that forked, and Go ends the
// thread of a locked goroutine with it: the server must not die of that.
func TestServerOutlivesTheThreadThatStartedIt(t *testing.T) {
	t.Parallel()
	var p *devstack.Postgres
	dir := filepath.Join(t.TempDir(), "postgres")
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var err error
		p, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{DataDir: dir, Template: template})
		started <- err
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	for range 20 {
		remember(t, p.URL(""))
	}
	select {
	case <-p.Done():
		t.Fatal("the server ended")
	default:
	}
}

// Ctrl-C reaches every process of the terminal's group; the server must last until
// we have drained.
func TestCtrlCDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	start(t, devstack.PostgresConfig{DataDir: dir})
	group, err := syscall.Getpgid(serverPid(t, dir))
	require.NoError(t, err)
	assert.NotEqual(t, syscall.Getpgrp(), group)
}

func TestStopEndsTheServerEvenWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	p := start(t, devstack.PostgresConfig{DataDir: filepath.Join(t.TempDir(), "postgres")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); err != nil { // it may have ended before we looked
		require.ErrorIs(t, err, context.Canceled)
	}
	<-p.Done()
}

func TestFailedStartSaysWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	config := devstack.PostgresConfig{DataDir: dir, Template: template, Settings: map[string]string{"max_connections": "none"}}
	_, err := devstack.StartPostgres(t.Context(), config)
	require.ErrorContains(t, err, `invalid value for parameter "max_connections"`)
	require.ErrorContains(t, err, "postgres.log")

	start(t, devstack.PostgresConfig{DataDir: dir}) // and the folder is free again
}

func TestStartIsBoundByItsContext(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	_, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{DataDir: dir})
	require.Error(t, err)

	start(t, devstack.PostgresConfig{DataDir: dir})
}
