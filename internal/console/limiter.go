package console

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// The logins that one address, and all of them together, may try: a burst, then one
// in a while. A key has 16 random bytes or more, so this keeps the log readable
// rather than the keys safe.
const (
	addressBurst, addressEvery = 10, 15 * time.Second
	globalBurst, globalEvery   = 60, 2 * time.Second
	addressesMax               = 10_000 // beyond, the limit of all together is the only one for new addresses
)

// loginLimiter counts attempts of one process. It keeps per address the moment at
// which its burst is whole again.
type loginLimiter struct {
	mu        sync.Mutex
	all       time.Time
	addresses map[netip.Prefix]time.Time
}

// take uses one attempt and returns 0, or how long to wait for one.
func (l *loginLimiter) take(remote string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	address := networkOf(remote)
	if len(l.addresses) >= addressesMax {
		for a, full := range l.addresses {
			if !full.After(now) {
				delete(l.addresses, a)
			}
		}
	}
	mine, wait := spendToken(l.addresses[address], now, addressBurst, addressEvery)
	if wait > 0 {
		return wait
	}
	all, wait := spendToken(l.all, now, globalBurst, globalEvery)
	if wait > 0 {
		return wait
	}
	l.all = all
	if l.addresses == nil {
		l.addresses = map[netip.Prefix]time.Time{}
	}
	if _, known := l.addresses[address]; known || len(l.addresses) < addressesMax {
		l.addresses[address] = mine
	}
	return 0
}

// spendToken takes one attempt from a burst that is whole again at full.
func spendToken(full, now time.Time, burst int, every time.Duration) (time.Time, time.Duration) {
	if full.Before(now) {
		full = now
	}
	full = full.Add(every)
	return full, max(0, full.Sub(now)-time.Duration(burst)*every)
}

// networkOf returns what counts as one address: an IPv6 customer has a whole /64.
func networkOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip = ip.Unmap(); ip.Is6() {
		bits = 64
	}
	network, _ := ip.WithZone("").Prefix(bits) // its only error is a count of bits that no address has
	return network
}
