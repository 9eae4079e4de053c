package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm waits to a moment within some ten microseconds. The runtime's own timers
// sleep in whole milliseconds when nothing else runs, which would be a good part of
// the latencies to be measured; a timer descriptor wakes the runtime's poller.
type alarm struct{ timer *os.File }

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timer: %w", err)
	}
	return &alarm{os.NewFile(uintptr(fd), "timer")}, nil
}

func (a *alarm) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	conn, err := a.timer.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = conn.Control(func(fd uintptr) {
		setErr = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, nil)
	})
	if err == nil {
		err = setErr
	}
	if err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	var expired [8]byte
	_, err = a.timer.Read(expired[:])
	return err
}

func (a *alarm) close() { _ = a.timer.Close() }
