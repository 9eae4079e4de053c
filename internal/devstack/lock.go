package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrLocked means that another running program holds the folder.
var ErrLocked = errors.New("folder is in use by another running sluice")

// lockName is the file in a folder that its holder keeps locked.
const lockName = "lock"

// Lock takes dir for this program and makes it when it is missing. The lock ends
// with unlock or with the process, however that ends. A second Lock, by this
// process or another, fails with ErrLocked and names the holder's process id; a
// second unlock does nothing.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, lockName)
	for {
		fd, err := lockFile(dir, path)
		if err != nil {
			return nil, err
		}
		if sameFile(fd, path) {
			// Closing it ends the lock; the file stays. Once: the number may be another file by then.
			return sync.OnceFunc(func() { _ = syscall.Close(fd) }), nil
		}
		_ = syscall.Close(fd) // the holder before us removed the folder: lock the new one
	}
}

// lockFile opens and locks the file at path and writes our process id into it.
func lockFile(dir, path string) (fd int, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("lock folder: %w", err)
	}
	// A bare descriptor: an *os.File would be closed, and the lock lost, as soon as
	// the garbage collector finds that nobody calls unlock any more.
	fd, err = syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if errors.Is(err, syscall.ENOENT) {
		return lockFile(dir, path) // somebody removed the folder in between
	}
	if err != nil {
		return 0, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := heldBy(path)
		_ = syscall.Close(fd) // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, fmt.Errorf("%s%s: %w", dir, holder, ErrLocked)
		}
		return 0, fmt.Errorf("lock %s: %w", path, err)
	}
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := errors.Join(syscall.Ftruncate(fd, 0), pwrite(fd, pid)); err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("lock %s: %w", path, err)
	}
	return fd, nil
}

func flock(fd, how int) error {
	for {
		if err := syscall.Flock(fd, how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func pwrite(fd int, b []byte) error {
	_, err := syscall.Pwrite(fd, b, 0)
	return err
}

// sameFile reports whether fd is the file that stands at path now.
func sameFile(fd int, path string) bool {
	var held, there syscall.Stat_t
	return syscall.Fstat(fd, &held) == nil && syscall.Stat(path, &there) == nil &&
		held.Dev == there.Dev && held.Ino == there.Ino
}

// heldBy returns " (process 123)" when the lock file says so.
func heldBy(path string) string {
	b, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}
