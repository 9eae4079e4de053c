package devstack

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// nobody is the user and group id of "nobody" on Linux.
const nobody = 65534

// account is who the server runs as. PostgreSQL refuses to run as root, so root
// starts it as postgres, or as nobody where there is no such user.
type account struct {
	uid, gid int
	name     string
	drop     bool // we are root and must become this account
}

func serverAccount() account {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid(), name: "user " + strconv.Itoa(os.Geteuid())}
	}
	if u, err := user.Lookup("postgres"); err == nil {
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uid, gid: gid, name: "user postgres", drop: true}
		}
	}
	return account{uid: nobody, gid: nobody, name: "user nobody", drop: true}
}

// own gives path to the account; only root needs to.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// barred returns the first folder above path that the account may not enter by
// the folder's mode alone, "" when it may enter all of them.
func (a account) barred(path string) (string, error) {
	if !a.drop {
		return "", nil
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", dir, err)
		}
		if !a.mayEnter(info) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", nil
		}
	}
}

func (a account) mayEnter(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := info.Mode().Perm()
	switch {
	case int(stat.Uid) == a.uid:
		return mode&0o100 != 0
	case int(stat.Gid) == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// privateDir makes dir for the account alone, or accepts one that already is. It
// refuses a folder that somebody else made, as anyone can under /tmp.
func (a account) privateDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return a.own(dir)
	}
	if !os.IsExist(err) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != a.uid || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a folder with mode 0700 of %s: remove it", dir, a.name)
	}
	return nil
}
