package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgres means that this machine has no PostgreSQL server to run.
var ErrNoPostgres = errors.New("no PostgreSQL server found (initdb and postgres): " +
	"install it with `apt-get install postgresql`, `dnf install postgresql-server` or `brew install postgresql`")

// installGlobs are the folders that packages use outside PATH.
var installGlobs = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // PGDG for Fedora and its kin
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",    // Homebrew, Intel
}

// binaries is one installed version of the server.
type binaries struct {
	dir     string // holds initdb and postgres
	version string // as `postgres --version` prints it: "15.18"
}

// major returns the part of the version that a data folder is bound to.
func (b binaries) major() string {
	major, _, _ := strings.Cut(b.version, ".")
	return major
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries returns the server to run: the first on PATH, else the newest
// install folder, else what pg_config names. A data folder of PostgreSQL 15 only
// starts with 15, so a major other than "" is taken wherever it is found.
func findBinaries(ctx context.Context, major string) (binaries, error) {
	return findIn(ctx, major, installGlobs)
}

func findIn(ctx context.Context, major string, globs []string) (binaries, error) {
	var others []string
	for _, dir := range candidateDirs(ctx, globs) {
		b, err := inspect(ctx, dir)
		if err != nil {
			continue // not a server: a client package has pg_config and no initdb
		}
		if major == "" || b.major() == major {
			return b, nil
		}
		others = append(others, b.version)
	}
	if major != "" && len(others) > 0 {
		return binaries{}, fmt.Errorf("the data folder was made by PostgreSQL %s and this machine has %s: "+
			"install postgresql-%s, or remove the folder to start with an empty database",
			major, strings.Join(slices.Compact(others), ", "), major)
	}
	return binaries{}, ErrNoPostgres
}

// candidateDirs lists folders that may hold the server, best first.
func candidateDirs(ctx context.Context, globs []string) []string {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// The links in /usr/local/bin lead to the folder that holds both.
		if resolved, err := filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
		dirs = append(dirs, filepath.Dir(initdb))
	}
	for _, pattern := range globs {
		found, _ := filepath.Glob(pattern) // the patterns are constants: they cannot be malformed
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(versionIn(b), versionIn(a)) })
		dirs = append(dirs, found...)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

// versionIn returns the number in an install folder's name: 15 of /usr/lib/postgresql/15/bin.
func versionIn(dir string) int {
	parent := filepath.Base(filepath.Dir(dir))
	n, _ := strconv.Atoi(strings.TrimLeft(parent, "abcdefghijklmnopqrstuvwxyz-@")) // no number sorts last
	return n
}

func inspect(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return binaries{}, err
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return binaries{}, fmt.Errorf("postgres --version says %q", out)
	}
	b.version = fields[2]
	return b, nil
}
