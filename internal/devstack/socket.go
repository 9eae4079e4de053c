package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Port is part of the socket's name and means nothing else: the server listens on
// no network address.
const Port = "5432"

// socketName is what PostgreSQL calls its socket within the socket folder.
const socketName = ".s.PGSQL." + Port

// runName is the socket's folder below the data folder.
const runName = "run"

// socketPathMax is the longest path of a Unix socket that every system takes: 107
// bytes on Linux (unix(7)), 103 on macOS.
const socketPathMax = 103

// socketDir returns the folder for the server's socket, made for the account
// alone: run below dir, or, where that path is too long for a socket, a folder in
// the system's temporary folder that is named after dir.
func socketDir(dir string, a account) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	short := "sluice-" + hex.EncodeToString(sum[:8])
	for _, candidate := range []string{
		filepath.Join(dir, runName),
		filepath.Join(os.TempDir(), short),
		filepath.Join("/tmp", short),
	} {
		if len(filepath.Join(candidate, socketName)) > socketPathMax {
			continue
		}
		if err := a.privateDir(candidate); err != nil {
			return "", fmt.Errorf("socket folder: %w", err)
		}
		return candidate, clearSocket(candidate)
	}
	return "", fmt.Errorf("no folder for the server's socket with a path of at most %d bytes", socketPathMax)
}

// clearSocket removes what a killed server left in its socket folder; a stale
// lock file there with a reused process id would stop the next start.
func clearSocket(dir string) error {
	if err := removeIfThere(filepath.Join(dir, socketName+".lock")); err != nil {
		return err
	}
	return removeIfThere(filepath.Join(dir, socketName))
}

// releaseSocketDir removes a socket folder in the temporary folder; the one below
// the data folder stays. What cannot be removed is used again at the next start.
func releaseSocketDir(dir string) {
	if filepath.Base(dir) == runName {
		return
	}
	if err := clearSocket(dir); err == nil {
		_ = os.Remove(dir)
	}
}

// socketURL names database behind the socket, for lib/pq and psql alike. It says
// port and user, so that no PGPORT or PGUSER says otherwise.
func socketURL(dir, database string) string {
	query := url.Values{"host": {dir}, "port": {Port}, "user": {Superuser}, "sslmode": {"disable"}}
	// A slash needs no escape in a query, and the line is pasted by people.
	return "postgres:///" + url.PathEscape(database) + "?" + strings.ReplaceAll(query.Encode(), "%2F", "/")
}
