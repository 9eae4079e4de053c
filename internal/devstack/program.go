package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// PID returns the process id of the server itself; every session is a child of it.
func (p *Postgres) PID() int { return p.pid }

// Program returns the path of a program of the installation whose server
// StartPostgres takes for a new folder, such as pgbench. Errors: ErrNoPostgres, or
// that the installation lacks the program.
func Program(ctx context.Context, name string) (string, error) {
	b, err := findBinaries(ctx, "")
	if err != nil {
		return "", err
	}
	path := b.path(name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("PostgreSQL %s in %s has no %s: on Debian it is in the package postgresql-%s, "+
			"elsewhere in postgresql-contrib; install that, or put another installation's bin folder first on PATH",
			b.version, b.dir, name, b.major())
	}
	return path, nil
}

// StartChild starts cmd in a process group of its own and calls ended once it is
// over. The child is killed when this process ends, kill -9 included (Linux).
func StartChild(cmd *exec.Cmd, ended func(error)) error {
	attr, err := childAttr(account{}, "", syscall.SIGKILL)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = attr
	return start(cmd, ended)
}
