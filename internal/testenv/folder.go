package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/sluice-gems/sluice/internal/devstack"
)

// folderPrefix begins the names of our folders. The rest is random, and the name short: a socket's path lies below it.
const folderPrefix = "sluice-test-"

// memory is Linux's folder in memory: making a database there takes 20 ms, on the
// disk of a virtual machine up to 250 ms. memoryRoom is what it must have to spare
// for us; a container often has 64 MB.
const (
	memory           = "/dev/shm"
	memoryRoom int64 = 4 << 30
)

// The test binary's own folders, each made at the first call and removed by Main:
// one for data that may be lost, in memory where there is room, and one on disk.
var (
	fastFolder = sync.OnceValues(func() (string, error) {
		if roomy(memory) {
			return newFolder(memory)
		}
		return newFolder(os.TempDir())
	})
	diskFolder = sync.OnceValues(func() (string, error) { return newFolder(os.TempDir()) })
)

// newFolder makes a folder of ours below parent, and first removes there what
// killed binaries left.
func newFolder(parent string) (string, error) {
	if err := sweep(parent); err != nil {
		return "", fmt.Errorf("remove folders of killed tests: %w", err)
	}
	for {
		dir, err := os.MkdirTemp(parent, folderPrefix)
		if err != nil {
			return "", err
		}
		unlock, err := devstack.Lock(dir)
		if errors.Is(err, devstack.ErrLocked) {
			continue // another binary's sweep found it before we could lock it, and removes it
		}
		if err != nil {
			return "", err
		}
		// The server's account, when we are root, passes through to its own folder.
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // passing through is all that 0711 adds
			return "", err
		}
		atExit(func() error {
			defer unlock()
			return remove(dir)
		})
		return dir, nil
	}
}

// roomy reports whether dir is there with memoryRoom to spare for this user.
func roomy(dir string) bool {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return false
	}
	const writeAndEnter = 3                        // W_OK | X_OK, access(2)
	room := int64(stat.Bavail) * int64(stat.Bsize) //nolint:unconvert // Bsize has another type on other systems
	return room >= memoryRoom && syscall.Access(dir, writeAndEnter) == nil
}

// sweep removes the folders of test binaries that were killed. A folder in use is
// locked; one of another user is none of our business.
func sweep(parent string) error {
	dirs, err := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if !ours(dir) {
			continue
		}
		unlock, err := devstack.Lock(dir)
		if errors.Is(err, devstack.ErrLocked) {
			continue
		}
		if err != nil {
			return err
		}
		err = remove(dir)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// remove removes dir. Another binary's sweep may look for its lock, and so make one
// anew, while we are at it: then we start over.
func remove(dir string) error {
	for {
		if err := os.RemoveAll(dir); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
}

// ours reports whether dir is a folder of this user, and no link to one.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// cacheFolder keeps a fresh cluster per PostgreSQL version between runs: the
// user's cache folder, else one in the temporary folder. Removing it costs one
// initdb, about 2 s.
func cacheFolder() (string, error) {
	if cache, err := os.UserCacheDir(); err == nil {
		return filepath.Join(cache, "sluice"), nil
	}
	dir := filepath.Join(os.TempDir(), "sluice-cache-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	if !ours(dir) {
		return "", fmt.Errorf("%s belongs to somebody else: remove it, or set HOME", dir)
	}
	return dir, nil
}
