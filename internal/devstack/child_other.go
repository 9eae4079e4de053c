//go:build unix && !linux

package devstack

import (
	"fmt"
	"syscall"
)

// childAttr says how the account runs a program that works on dir: in a process
// group of its own. Without Linux there is no signal on our death: a server that
// a killed program left behind runs until the next start, which ends it first.
func childAttr(a account, dir string, _ syscall.Signal) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if !a.drop {
		return attr, nil
	}
	attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	bar, err := a.barred(dir)
	if err != nil {
		return nil, err
	}
	if bar != "" {
		return nil, fmt.Errorf("%s may not enter %s: choose another data folder, or chmod o+x %s", a.name, bar, bar)
	}
	return attr, nil
}
