package revenuecat

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Domain is a set of endpoints that share one rate limit (RevenueCat API v2,
// rate limits).
type Domain string

// The domains we call. The default of each is 480 calls a minute, and 60 of the
// project's configuration.
const (
	Transactions         Domain = "virtual_currencies_create_transaction"
	CustomerInformation  Domain = "customer_information"
	ProjectConfiguration Domain = "project_configuration"
)

// pauseDefault closes a domain after a 429 that names no moment. The provider's
// own sample of a 429 names one second.
const pauseDefault = time.Second

// Limit is what the provider last told about one domain.
type Limit struct {
	PerMinute   int       // calls a minute it allows; 0: it has not said
	Used        int       // calls it counted in the minute of its newest answer
	SeenAt      time.Time // when that answer came
	ClosedUntil time.Time // no call starts before; zero: never closed
}

// gate is local to the process: it remembers, per domain, the moment before
// which the provider wants no call.
type gate struct {
	mu      sync.Mutex
	domains map[Domain]*gated
}

type gated struct {
	Limit
	code string // error type of the answer that closed the domain
}

// Limits returns what the provider last told about each domain that has
// answered. The map is the caller's.
func (c *Client) Limits() map[Domain]Limit {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	out := make(map[Domain]Limit, len(c.gate.domains))
	for name, domain := range c.gate.domains {
		out[name] = domain.Limit
	}
	return out
}

// closed returns how long no call of the domain may start, and the error type
// of the answer that said so; 0 when the domain is open.
func (g *gate) closed(name Domain, now time.Time) (time.Duration, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	domain := g.domains[name]
	if domain == nil || !now.Before(domain.ClosedUntil) {
		return 0, ""
	}
	return domain.ClosedUntil.Sub(now), domain.code
}

// told is what one answer tells about its domain.
type told struct {
	limit, used int           // both 0: nothing
	pause       time.Duration // how long it closes the domain; 0: it does not
}

func tell(a answer, header http.Header, now time.Time) told {
	t := told{pause: pauseAfter(a, header, now)}
	limit, known := count(header, "RevenueCat-Rate-Limit-Current-Limit")
	used, counted := count(header, "RevenueCat-Rate-Limit-Current-Usage")
	if known && counted {
		t.limit, t.used = limit, used
	}
	return t
}

// note keeps what an answer tells about its domain. It returns the moment until
// which the answer closed it, or zero.
func (g *gate) note(name Domain, a answer, now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.domains == nil {
		g.domains = make(map[Domain]*gated)
	}
	domain := g.domains[name]
	if domain == nil {
		domain = &gated{}
		g.domains[name] = domain
	}
	if a.told.limit > 0 {
		domain.PerMinute, domain.Used, domain.SeenAt = a.told.limit, a.told.used, now
	}
	if until := now.Add(a.told.pause); a.told.pause > 0 && until.After(domain.ClosedUntil) {
		domain.ClosedUntil, domain.code = until, a.code
		return until
	}
	return time.Time{}
}

// pauseAfter says how long an answer closes its domain. The backoff_ms of a
// 503 is about that one request; its Retry-After is about the service.
func pauseAfter(a answer, header http.Header, now time.Time) time.Duration {
	switch a.status {
	case http.StatusTooManyRequests:
		if a.wait == 0 {
			return pauseDefault
		}
		return a.wait
	case http.StatusServiceUnavailable:
		if retryAfter(header, now) > 0 {
			return a.wait
		}
	}
	return 0
}

func count(header http.Header, name string) (int, bool) {
	n, err := strconv.Atoi(header.Get(name))
	return n, err == nil && n >= 0
}
