package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startPatience bounds a start; the longest ones replay max_wal_size of log.
	startPatience = 2 * time.Minute

	// logSizeMax is where postgres.log begins anew, at a start.
	logSizeMax = 16 << 20
)

// PostgresConfig describes a private server.
type PostgresConfig struct {
	// DataDir is the server's folder; it is made when it is missing.
	DataDir string

	// Log receives what StartPostgres does; nil drops it. The server's own log is
	// DataDir/postgres.log.
	Log *slog.Logger

	// Durable keeps every commit through a power cut (fsync on). Without it the
	// data survives a crash of the server only: for tests.
	Durable bool

	// Template is a folder that keeps a fresh cluster per server version, made when
	// it is missing and copied into a DataDir that has none: 0.1 s rather than the
	// 2 to 3 s of initdb. "" runs initdb.
	Template string

	// Settings are server settings that win over ours, such as shared_buffers.
	Settings map[string]string
}

// Postgres is a running server. Its methods may be called by many goroutines.
type Postgres struct {
	cluster string
	socket  string
	pid     int
	unlock  func()
	done    chan struct{} // closed once the server is gone and the folder is unlocked
	err     error         // how it ended; written before done is closed
}

// StartPostgres starts a server on c.DataDir and returns once it takes
// connections. ctx bounds the start only: the server runs until Stop, Kill or the
// end of this process.
//
// A folder that a killed program left behind starts again with all its committed
// work; a server that still runs on it is stopped first. Errors: ErrLocked when
// another running program uses the folder, ErrNoPostgres when this machine has no
// server; anything else carries the last lines of the server's log.
func StartPostgres(ctx context.Context, c PostgresConfig) (*Postgres, error) {
	p, err := startPostgres(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return p, nil
}

func startPostgres(ctx context.Context, c PostgresConfig) (_ *Postgres, err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	log := cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return nil, err
	}
	a := serverAccount()
	unlock, err := takeFolder(dir, a)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	// One spelling of the path: it is compared with what the kernel says.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	cluster := filepath.Join(dir, clusterName)
	major, err := majorOf(cluster)
	if err != nil {
		return nil, err
	}
	b, err := findBinaries(ctx, major)
	if err != nil {
		return nil, err
	}
	if err := ensureCluster(ctx, dir, c.Template, a, b); err != nil {
		return nil, err
	}
	if err := clearLeftover(ctx, log, cluster); err != nil {
		return nil, err
	}
	socket, err := socketDir(dir, a)
	if err != nil {
		return nil, err
	}
	safety := fleeting
	if c.Durable {
		safety = durable
	}
	place := map[string]string{"unix_socket_directories": quotedDir(socket)}
	args := append([]string{"-D", cluster}, settingArgs(common, safety, c.Settings, place)...)

	// The context must not end the server: it bounds the start. When we are killed
	// the server quits at once (SIGQUIT) and replays its log at the next start.
	cmd, err := command(context.WithoutCancel(ctx), a, cluster, syscall.SIGQUIT, b.path("postgres"), args...)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p := &Postgres{cluster: cluster, socket: socket, unlock: unlock, done: make(chan struct{})}
	if err := p.launch(ctx, cmd, filepath.Join(dir, logName)); err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "PostgreSQL runs", "version", b.version, "pid", p.pid, "as", a.name,
		"data", cluster, "socket", socket, "duration_ms", time.Since(began).Milliseconds())
	return p, nil
}

// majorOf returns the PostgreSQL version a cluster belongs to, "" when it is not
// made yet.
func majorOf(cluster string) (string, error) {
	b, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// launch starts the server and waits until it takes connections. On failure the
// server is gone.
func (p *Postgres) launch(ctx context.Context, cmd *exec.Cmd, logPath string) error {
	out, offset, err := openLog(logPath)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // the server has its own descriptor
	cmd.Stdout, cmd.Stderr = out, out
	if err := start(cmd, p.ended); err != nil {
		return err
	}
	p.pid = cmd.Process.Pid
	if err := p.ready(ctx); err != nil {
		_ = signal(p.pid, syscall.SIGKILL) // we report why it did not start, which matters more
		<-p.done
		return fmt.Errorf("%w; %s ends with:\n%s", err, logPath, readFrom(logPath, offset))
	}
	return nil
}

// ended records that the server is gone.
func (p *Postgres) ended(err error) {
	p.err = err
	releaseSocketDir(p.socket)
	p.unlock()
	close(p.done)
}

// ready waits for the word "ready" that the server writes to postmaster.pid once
// it takes connections, as pg_ctl does.
func (p *Postgres) ready(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		pid, status, err := readPidFile(p.cluster)
		if err != nil {
			return err
		}
		if pid == p.pid && status == "ready" {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("the server ended: %w", p.why())
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready in time: %w", ctx.Err())
		}
	}
}

// URL returns the address of a database on the server, "" for Database. Anyone who
// may use the socket is Superuser.
func (p *Postgres) URL(database string) string {
	return socketURL(p.socket, cmp.Or(database, Database))
}

// Done is closed when the server is gone, wanted or not.
func (p *Postgres) Done() <-chan struct{} { return p.done }

// KeepPostgres starts a server as StartPostgres does, and again whenever it ends by
// itself: after a kill -9 it replays its log, as at any start. Its sessions are cut
// and connect again at the same URL, that of Database.
func KeepPostgres(ctx context.Context, c PostgresConfig) (k *Keeper, url string, err error) {
	p, err := StartPostgres(ctx, c)
	if err != nil {
		return nil, "", err
	}
	k = Keep(cmp.Or(c.Log, slog.New(slog.DiscardHandler)), "PostgreSQL", p.running(), func(ctx context.Context) (Running, error) {
		again, err := StartPostgres(ctx, c)
		if err != nil {
			return Running{}, err
		}
		return again.running(), nil
	})
	return k, p.URL(""), nil
}

func (p *Postgres) running() Running { return Running{Done: p.Done(), Why: p.why, Stop: p.Stop} }

// why tells how a server ended that is gone.
func (p *Postgres) why() error { return cmp.Or(p.err, errors.New("exit status 0")) }

// Stop ends the server in order: sessions are cut, data is written, the folder is
// unlocked. When ctx ends first the server quits at once and replays its log at
// the next start; Stop then returns ctx's error. A second call, or one after the
// server is gone, returns nil.
func (p *Postgres) Stop(ctx context.Context) error {
	if p.over() {
		return nil
	}
	if err := signal(p.pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	err := fmt.Errorf("stop PostgreSQL: %w", context.Cause(ctx))
	if signalErr := signal(p.pid, syscall.SIGQUIT); signalErr != nil {
		return errors.Join(err, signalErr)
	}
	select {
	case <-p.done:
		return err
	case <-time.After(killPatience):
		return errors.Join(err, p.Kill())
	}
}

// Kill ends the server as a crash would, by kill -9, and returns when nothing of
// it is left. The data folder starts again like after a crash.
func (p *Postgres) Kill() error {
	if !p.over() {
		if err := signal(p.pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill PostgreSQL: %w", err)
		}
		<-p.done
	}
	// What it forked notices its death and ends, too.
	gone, err := waitGone(context.Background(), p.cluster, killPatience)
	if err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	if !gone {
		return fmt.Errorf("kill PostgreSQL: its sessions on %s do not end", p.cluster)
	}
	freeSharedMemory(p.cluster)
	return nil
}

func (p *Postgres) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// openLog opens the server's log to append to, and says where the new lines begin.
func openLog(path string) (*os.File, int64, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	info, err := os.Stat(path)
	if err == nil && info.Size() > logSizeMax {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err = f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// readFrom returns the last lines written to path since offset.
func readFrom(path string, offset int64) string {
	b, err := os.ReadFile(path)
	if err != nil || int64(len(b)) < offset {
		return "(unreadable)"
	}
	return lastLines(string(b[offset:]))
}
