package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userHZ is the unit of times in /proc: a hundredth of a second on every Linux
// (proc(5), sysconf(_SC_CLK_TCK)).
const userHZ = 100

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent int
	own    time.Duration // its CPU
	reaped time.Duration // that of its children which have ended
}

func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	// The name, in brackets, may hold anything; utime is the 14th field.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	number := func(at int) int64 {
		n, _ := strconv.ParseInt(fields[at], 10, 64) // the kernel writes numbers
		return n
	}
	ticks := func(n int64) time.Duration { return time.Duration(n) * time.Second / userHZ }
	return stat{parent: int(number(1)), own: ticks(number(11) + number(12)), reaped: ticks(number(13) + number(14))}, nil
}

// cpuOf returns the CPU that a process has used. whole adds that of its children,
// those that have ended included: a PostgreSQL server is one process per session.
func cpuOf(pid int, whole bool) (time.Duration, error) {
	self, err := readStat(pid)
	if err != nil || !whole {
		return self.own, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	sum := self.own + self.reaped
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil && s.parent == pid { // one that just ended is in reaped
			sum += s.own + s.reaped
		}
	}
	return sum, nil
}

// machine is what /proc/stat says of all CPUs together.
type machine struct{ busy, stolen, total time.Duration }

func readMachine() (machine, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	if len(fields) < 9 || fields[0] != "cpu" {
		return machine{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var m machine
	for i, field := range fields[1:9] { // guest time is part of user time
		n, _ := strconv.ParseInt(field, 10, 64)
		d := time.Duration(n) * time.Second / userHZ
		m.total += d
		switch i {
		case 3, 4: // idle, iowait
		case 7:
			m.stolen += d
		default:
			m.busy += d
		}
	}
	return m, nil
}

// tmpfs is the type of Linux's file system in memory (statfs(2)).
const tmpfs = 0x01021994

// inMemory reports whether a folder is lost with the power.
func inMemory(dir string) bool {
	var s unix.Statfs_t
	return runtime.GOOS == "linux" && unix.Statfs(dir, &s) == nil && int64(s.Type) == tmpfs //nolint:unconvert // Type has another type on other systems
}

// Machine describes where a measurement ran.
func Machine() string {
	cpu := runtime.GOARCH
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		lines := strings.Split(string(raw), "\n")
		if at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "model name") }); at >= 0 {
			_, name, _ := strings.Cut(lines[at], ":")
			cpu = strings.TrimSpace(name)
		}
	}
	kernel := runtime.GOOS
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel += " " + strings.TrimSpace(string(raw))
	}
	return fmt.Sprintf("%d CPUs (%s), %s, %s", runtime.NumCPU(), cpu, kernel, runtime.Version())
}
