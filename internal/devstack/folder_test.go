package devstack_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
)

func TestSecondProgramOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "postgres")
	p := start(t, devstack.PostgresConfig{DataDir: dir, Durable: true})

	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{DataDir: dir})
	require.ErrorIs(t, err, devstack.ErrLocked)
	h := runHelper(t, helperServe, dir, os.Geteuid())
	said := h.says(t)
	assert.Contains(t, said, "in use by another running sluice")
	assert.Contains(t, said, "(process ")
	remember(t, p.URL("")) // the first one did not notice
}

func TestLockEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := devstack.Lock(dir)
	require.NoError(t, err)
	_, err = devstack.Lock(dir)
	require.ErrorIs(t, err, devstack.ErrLocked)
	unlock()
	unlock, err = devstack.Lock(dir)
	require.NoError(t, err)
	unlock()
}

// A folder that its last holder removed is a new one, and only one holder has it.
func TestLockHoldsTheFolderThatIsThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "folder")
	first, err := devstack.Lock(dir)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	second, err := devstack.Lock(dir)
	require.NoError(t, err)
	first()
	_, err = devstack.Lock(dir)
	require.ErrorIs(t, err, devstack.ErrLocked)
	second()
}

func TestFolderOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("15\n"), 0o600))
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{DataDir: dir})
	require.ErrorContains(t, err, "was not made by sluice")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing was added, nothing removed")
}

func TestOtherUsersCannotConnect(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(publicDir(t, os.Geteuid()), "postgres")
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // others get this far
	start(t, devstack.PostgresConfig{DataDir: dir})
	socket := filepath.Join(dir, "run", ".s.PGSQL.5432")
	info, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	conn, err := net.Dial("unix", socket)
	require.NoError(t, err, "we can")
	require.NoError(t, conn.Close())
	if os.Geteuid() == 0 { // only root can become somebody else
		said := runHelper(t, helperDial, socket, otherUser).says(t)
		assert.Contains(t, said, "permission denied")
	}
}

func TestLongPathGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 20), "postgres")
	p := start(t, devstack.PostgresConfig{DataDir: dir})
	remember(t, p.URL(""))
	require.NoError(t, p.Stop(t.Context()))
	p = start(t, devstack.PostgresConfig{DataDir: dir})
	assert.Equal(t, 1, recall(t, p.URL("")))
	assert.NotContains(t, p.URL(""), "long")
	assert.Less(t, len(p.URL("")), 150)
}
