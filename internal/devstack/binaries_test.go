package devstack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
)

// fakeServer makes an install folder that claims to be of that version.
func fakeServer(t *testing.T, root, major, version string) {
	t.Helper()
	bin := filepath.Join(root, major, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	for name, script := range map[string]string{
		"initdb":   "#!/bin/sh\n",
		"postgres": "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Fake)'\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700))
	}
}

func TestMissingPostgresSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := devstack.FindBinaries(t.Context(), "")
	require.ErrorIs(t, err, devstack.ErrNoPostgres)
	assert.Contains(t, err.Error(), "apt-get install postgresql")
	assert.NotContains(t, err.Error(), "\n")
}

func TestNewestPostgresIsTaken(t *testing.T) {
	root := t.TempDir()
	for major, version := range map[string]string{"9": "9.6.24", "15": "15.18", "17": "17.2"} {
		fakeServer(t, root, major, version)
	}
	t.Setenv("PATH", t.TempDir())
	globs := filepath.Join(root, "*", "bin")

	version, err := devstack.FindBinaries(t.Context(), "", globs)
	require.NoError(t, err)
	assert.Equal(t, "17.2", version)

	version, err = devstack.FindBinaries(t.Context(), "15", globs)
	require.NoError(t, err)
	assert.Equal(t, "15.18", version, "a data folder needs its own version")

	_, err = devstack.FindBinaries(t.Context(), "16", globs)
	require.ErrorContains(t, err, "install postgresql-16")
}
