//go:build !linux

package load

import "time"

// alarm waits to a moment as exactly as the runtime does.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

func (*alarm) wait(d time.Duration) error {
	if d > 0 {
		<-time.After(d)
	}
	return nil
}

func (*alarm) close() {}
