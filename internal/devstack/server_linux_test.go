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

// A server without an owner, such as one that did not hear the death signal, is
// stopped and replaced.
func TestServerLeftRunningIsReplaced(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	p := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})
	remember(t, p.URL(""))
	pid := serverPid(t, dir)
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	require.NoError(t, err)
	attr := &syscall.SysProcAttr{Setpgid: true}
	var owner syscall.Stat_t
	require.NoError(t, syscall.Stat(filepath.Join(dir, "data"), &owner))
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
		attr.AmbientCaps = []uintptr{1} // CAP_DAC_OVERRIDE: t.TempDir is barred to the server's user
	}
	require.NoError(t, p.Stop(t.Context()))

	args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	orphan := exec.CommandContext(t.Context(), args[0], args[1:]...)
	orphan.Dir, orphan.SysProcAttr = "/", attr
	require.NoError(t, orphan.Start())
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		return strings.Contains(string(b), "ready")
	}, 20*time.Second, 10*time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()

	p = start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})
	require.NoError(t, <-ended, "a fast shutdown is in order")
	assert.Equal(t, 1, recall(t, p.URL("")))
}

// The right to pass barred folders is the right to pass all of them: the server
// has it only where it cannot do without.
func TestCapabilityIsLentOnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	needed := "0000000000000000"
	if os.Geteuid() == 0 {
		needed = "0000000000000002" // CAP_DAC_OVERRIDE
	}
	open := publicDir(t, os.Geteuid())
	require.NoError(t, os.Chmod(open, 0o711)) // as a folder made by sluice is
	for parent, want := range map[string]string{open: "0000000000000000", t.TempDir(): needed} {
		dir := filepath.Join(parent, "postgres")
		start(t, devstack.PostgresConfig{DataDir: dir})
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serverPid(t, dir)))
		require.NoError(t, err)
		assert.Contains(t, string(status), "CapEff:\t"+want, parent)
	}
}
