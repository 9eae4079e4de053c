package simulator

import "time"

// domain is a set of endpoints that share one limit.
type domain string

const (
	transactions        domain = "virtual_currencies_create_transaction"
	customerInformation domain = "customer_information"
	configuration       domain = "project_configuration"
)

// configurationShare of the others' limit is that of the configuration: 60 of 480.
const configurationShare = 8

// limit is how many calls of a domain a minute has when the others have perMinute.
func (d domain) limit(perMinute int) int {
	if d == configuration {
		return (perMinute + configurationShare - 1) / configurationShare
	}
	return perMinute
}

// window counts the calls of one domain in one minute of the clock.
type window struct {
	minute time.Time
	used   int
}

// take counts one call of a domain against perMinute. It returns the calls of
// this minute, this one included, and 0; or the time to wait for the next minute
// when there is no room for the call. The caller holds mu.
func (s *Simulator) take(d domain, perMinute int, now time.Time) (int, time.Duration) {
	minute := now.Truncate(time.Minute)
	w := s.windows[d]
	if w == nil || !w.minute.Equal(minute) {
		w = &window{minute: minute}
		s.windows[d] = w
	}
	if w.used >= perMinute {
		return w.used, minute.Add(time.Minute).Sub(now)
	}
	w.used++
	return w.used, 0
}
