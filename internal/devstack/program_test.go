package devstack_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
)

func TestAProgramIsThatOfTheServersInstallation(t *testing.T) {
	t.Parallel()
	path, err := devstack.Program(t.Context(), "initdb")
	require.NoError(t, err)
	version, err := exec.CommandContext(t.Context(), path, "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(version), "PostgreSQL")
	_, err = devstack.Program(t.Context(), "nosuchprogram")
	require.ErrorContains(t, err, "install")
}

func TestAChildIsStartedAndItsEndTold(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo done; exit 7")
	var out strings.Builder
	cmd.Stdout = &out
	require.NoError(t, devstack.StartChild(cmd, func(err error) { ended <- err }))
	var exit *exec.ExitError
	require.ErrorAs(t, <-ended, &exit)
	require.Equal(t, 7, exit.ExitCode())
	require.Equal(t, "done\n", out.String())
	require.Error(t, devstack.StartChild(exec.CommandContext(t.Context(), "/nowhere"), func(error) { t.Error("it never began") }))
}
