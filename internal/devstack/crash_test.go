package devstack_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
)

func TestKilledProgramTakesItsServerAlongAndItsWorkSurvives(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	for round := 1; round <= 3; round++ {
		h := runHelper(t, helperServe, dir, os.Geteuid())
		url := h.says(t)
		remember(t, url)
		pid := serverPid(t, dir)
		h.kill9(t)

		p := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true}) // at once: the old one may still be going
		assert.Equal(t, url, p.URL(""))
		assert.NotEqual(t, pid, serverPid(t, dir))
		assert.Equal(t, round, recall(t, p.URL("")))
		require.NoError(t, p.Stop(t.Context()))
	}
}

func TestKilledServerStartsAgainWithItsWork(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	for round := 1; round <= 3; round++ {
		p := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})
		remember(t, p.URL(""))
		assert.Equal(t, round, recall(t, p.URL("")))
		require.NoError(t, p.Kill())
		require.NoError(t, p.Kill(), "a second kill does nothing")
	}
}

// After a reboot the id in postmaster.pid belongs to somebody else, who must not
// be harmed, and must not stop the start.
func TestStaleProcessIDHarmsNobody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	p := start(t, devstack.PostgresConfig{DataDir: dir})
	remember(t, p.URL(""))
	require.NoError(t, p.Kill())

	var owner syscall.Stat_t
	require.NoError(t, syscall.Stat(filepath.Join(dir, "data"), &owner))
	bystander := exec.CommandContext(t.Context(), "cat") // waits for input, as the server's own user
	if os.Geteuid() == 0 {
		bystander.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	bystander.Dir = "/"
	stdin, err := bystander.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, bystander.Start())
	for _, stale := range []string{"data/postmaster.pid", "run/.s.PGSQL.5432.lock"} {
		path := filepath.Join(dir, stale)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(b), "\n")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "%d\n%s", bystander.Process.Pid, rest), 0o600))
	}

	p = start(t, devstack.PostgresConfig{DataDir: dir})
	assert.Equal(t, 1, recall(t, p.URL("")))
	require.NoError(t, stdin.Close())
	require.NoError(t, bystander.Wait(), "the bystander ended in its own time")
}

func TestHalfFinishedInitdbIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	h := runHelper(t, helperServe, dir, os.Geteuid())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "data.new", "PG_VERSION"))
		return err == nil
	}, 20*time.Second, time.Millisecond)
	h.kill9(t)
	require.NoFileExists(t, filepath.Join(dir, "data"), "killed too late to mean anything")

	p := start(t, devstack.PostgresConfig{DataDir: dir})
	remember(t, p.URL(""))
	require.NoFileExists(t, filepath.Join(dir, "data.new"))
}
