package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAListOfPlayersIsItsOwnersAlone: a new file, and one that others could read before.
func TestAListOfPlayersIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.csv")
	write := func(n int) {
		each, end, err := listFile(path, []string{"n", "text"}, func(n int) []string { return []string{strconv.Itoa(n), "a, b"} })
		require.NoError(t, err)
		for i := range n {
			require.NoError(t, each(i))
		}
		require.NoError(t, end())
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	write(2)
	require.NoError(t, os.Chmod(path, 0o644))
	write(1)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "n,text\n0,\"a, b\"\n", string(raw), "what was in it before is gone")

	each, end, err := listFile("", nil, func(int) []string { return nil })
	require.NoError(t, err)
	require.NoError(t, each(1))
	require.NoError(t, end())
	_, _, err = listFile(filepath.Join(path, "nowhere"), nil, func(int) []string { return nil })
	require.Error(t, err)
}
