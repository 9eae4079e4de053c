package devstack

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// capDACOverride lets a process pass folders whose mode bars it (capabilities(7)).
const capDACOverride = 1

// childAttr says how the account runs a program that works on dir.
//
// The child gets a process group of its own: a Ctrl-C in the terminal is ours to
// handle, the server must outlive our own shutdown. It dies with the thread that
// started it, see start. When dir lies below a folder that the account may not
// enter, such as /root, root lends it CAP_DAC_OVERRIDE, and only then.
func childAttr(a account, dir string, deathSignal syscall.Signal) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
	if !a.drop {
		return attr, nil
	}
	attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	bar, err := a.barred(dir)
	if err != nil {
		return nil, err
	}
	if bar == "" {
		return attr, nil
	}
	if !permitted(capDACOverride) {
		return nil, fmt.Errorf("%s may not enter %s, and this root may not lend it the right (CAP_DAC_OVERRIDE): "+
			"choose another data folder, or chmod o+x %s", a.name, bar, bar)
	}
	attr.AmbientCaps = []uintptr{capDACOverride}
	return attr, nil
}

// permitted reports whether this process holds a capability it may pass on.
func permitted(capability uint) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapPrm:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && set&(1<<capability) != 0
		}
	}
	return false
}
