package devstack_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// start starts a server that ends with the test.
func start(t *testing.T, c devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	c.Template = template
	p, err := devstack.StartPostgres(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p
}

// open returns a pool on the server's database.
func open(t *testing.T, url string) *sqlx.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// remember writes one committed row; recall returns how many there are.
func remember(t *testing.T, url string) {
	t.Helper()
	db := open(t, url)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE IF NOT EXISTS remembered (at timestamptz DEFAULT now())`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO remembered DEFAULT VALUES`)
	require.NoError(t, err)
}

func recall(t *testing.T, url string) int {
	t.Helper()
	var n int
	require.NoError(t, open(t, url).GetContext(t.Context(), &n, `SELECT count(*) FROM remembered`))
	return n
}

// helper is another process that runs a server.
type helper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// runHelper starts the test binary as a helper, as uid when that is not ours.
func runHelper(t *testing.T, what, dir string, uid int) *helper {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	if runtime.GOOS == "linux" {
		self = "/proc/self/exe" // another user may not enter go's build folder
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), helperEnv+"="+what, helperDir+"="+dir)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &helper{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return h
}

// says returns the next line the helper prints.
func (h *helper) says(t *testing.T) string {
	t.Helper()
	line, err := h.out.ReadString('\n')
	require.NoError(t, err, "the helper ended without a word")
	return strings.TrimSpace(line)
}

// kill9 ends the helper as the kernel's out-of-memory killer would.
func (h *helper) kill9(t *testing.T) {
	t.Helper()
	require.NoError(t, h.cmd.Process.Kill())
	_ = h.cmd.Wait() // "signal: killed" is the point
}

// serverPid returns the process id the server wrote into its folder.
func serverPid(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.SplitN(string(b), "\n", 2)[0])
	require.NoError(t, err)
	return pid
}

// otherUser is an account that is neither root nor the one the server runs as.
const otherUser = 54321

// publicDir returns a folder that every user may reach and uid owns: unlike
// t.TempDir, whose parent is barred.
func publicDir(t *testing.T, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-devstack-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	if uid != os.Geteuid() {
		require.NoError(t, os.Chown(dir, uid, uid))
	}
	return dir
}
