package testenv

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
)

func TestEveryTestHasItsOwnDatabase(t *testing.T) {
	var names sync.Map
	t.Run("group", func(t *testing.T) {
		for _, test := range []string{"one", "Two/with + signs", "three-ünïcode"} {
			t.Run(test, func(t *testing.T) {
				t.Parallel()
				db := Postgres(t)
				var name string
				require.NoError(t, db.GetContext(t.Context(), &name, `SELECT current_database()`))
				_, other := names.LoadOrStore(name, test)
				assert.False(t, other, "%s is used twice", name)

				current, err := postgres.MigrationsCurrent(t.Context(), db)
				require.NoError(t, err)
				assert.True(t, current)
				_, err = db.ExecContext(t.Context(), `CREATE TABLE mine (id int PRIMARY KEY)`)
				require.NoError(t, err, "nobody else has made it")
			})
		}
	})
	shared, err := sharedServer()
	require.NoError(t, err)
	names.Range(func(name, _ any) bool {
		var there bool
		require.NoError(t, shared.admin.GetContext(t.Context(), &there,
			`SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name))
		assert.False(t, there, "%s outlived its test", name)
		return true
	})
}

func TestOneTestHasOneDatabase(t *testing.T) {
	t.Parallel()
	db := Postgres(t)
	assert.Same(t, db, Postgres(t))
	_, err := db.ExecContext(t.Context(), `CREATE TABLE mine ()`)
	require.NoError(t, err)

	again, err := postgres.Open(t.Context(), postgres.Config{URL: PostgresURL(t)})
	require.NoError(t, err)
	_, err = again.ExecContext(t.Context(), `SELECT FROM mine`)
	require.NoError(t, err)
	// again stays open: the database is dropped all the same
}

func TestDurableServerKeepsItsWorkThroughAKill(t *testing.T) {
	t.Parallel()
	s := DurablePostgres(t)
	db := s.DB()
	var fsync string
	require.NoError(t, db.GetContext(t.Context(), &fsync, `SHOW fsync`))
	assert.Equal(t, "on", fsync)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE kept AS SELECT 1 AS n`)
	require.NoError(t, err)

	for _, end := range []func(){s.Kill, s.Stop} {
		end()
		_, err = db.ExecContext(t.Context(), `SELECT 1`)
		require.Equal(t, postgres.Unavailable, postgres.Classify(err), "%v", err)
		s.Start()
		var n int
		require.NoError(t, db.GetContext(t.Context(), &n, `SELECT count(*) FROM kept`))
		assert.Equal(t, 1, n)
	}
	s.Kill() // a test may end like this
}

func TestKilledTestBinaryLeavesNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), hangEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	words := strings.Fields(line)
	require.Len(t, words, 3, line)
	url, folders := words[0], words[1:]

	for _, folder := range folders {
		require.NoError(t, sweep(filepath.Dir(folder)))
		require.DirExists(t, folder, "a folder in use is not swept")
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // "signal: killed" is the point

	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	defer db.Close()
	require.Eventually(t, func() bool { return postgres.Ping(t.Context(), db) != nil }, 10*time.Second, 10*time.Millisecond)
	for _, folder := range folders {
		require.NoError(t, sweep(filepath.Dir(folder)))
		require.NoDirExists(t, folder)
	}
}

func TestDatabaseNamesAreValid(t *testing.T) {
	t.Parallel()
	for test, want := range map[string]string{
		"TestX":                             "t7_testx",
		"TestX/a b; DROP":                   "t7_testx_a_b__drop",
		"Test" + strings.Repeat("Long", 50): "t7_test" + strings.Repeat("long", 11) + "lo",
	} {
		assert.Equal(t, want, databaseName(test, 7))
	}
}
