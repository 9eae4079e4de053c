package budget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

const (
	// windowDefault is the provider's minute (RevenueCat API v2, rate limits).
	windowDefault = time.Minute
	// leaseDefault is how long a permit is good for: a process that stalls starts no
	// call on an old one. A minute's calls count for so much longer than a minute.
	leaseDefault = 250 * time.Millisecond
	// deafLease is how long, while notices of a pause cannot be heard.
	deafLease = 40 * time.Millisecond
	// watchInterval is how often a process that calls nobody reads the accounts.
	watchInterval = 5 * time.Second
	// headroomShare of the limit is left to others: reads of several pages, customers
	// created on the way, people with a terminal.
	headroomShare = 50
)

// HeadroomDefault is how many calls of a limit are left to others: 10 of 480.
func HeadroomDefault(limit int) int { return (limit + headroomShare - 1) / headroomShare }

// Config configures a Budget.
type Config struct {
	// DB is where the accounts are. A pool of its own, with a few connections and
	// synchronous_commit off, keeps leases from waiting for those who store spends:
	// what a crash of PostgreSQL may lose of the log, half a second, the headroom covers.
	DB *sqlx.DB
	// Listen is where notices come from: the address of the same database. Without a
	// URL the budget works as when that connection is lost: no permit is kept, every
	// lease asks PostgreSQL.
	Listen  postgres.Config
	Process string // names this process among all; a new one per start
	Log     *slog.Logger

	Headroom func(limit int) int // nil: HeadroomDefault
	Now      func() time.Time    // nil: time.Now
	Window   time.Duration       // 0: a minute; tests make it shorter
	Lease    time.Duration       // 0: 250 ms
}

// Budget is one process's access to the shared accounts. It is safe for
// concurrent use. Close it.
type Budget struct {
	config Config
	store  store
	ctx    context.Context // of the goroutines; ends with Close
	cancel context.CancelFunc
	ended  sync.WaitGroup
	reload chan struct{}

	mu        sync.Mutex // guards all below
	desks     map[revenuecat.Domain]*desk
	breaker   breaker
	connected bool // to the channel of notices
	hearing   bool // and what was missed before has been read
	heard     int  // how often that connection came or went
}

// Open returns a budget and begins to listen. It needs no database: until there is
// one, Take answers *NotYet.
func Open(c Config) (*Budget, error) {
	if c.DB == nil || c.Process == "" {
		return nil, errors.New("budget: no database or no name of the process")
	}
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Window, c.Lease = cmp.Or(c.Window, windowDefault), cmp.Or(c.Lease, leaseDefault)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Headroom == nil {
		c.Headroom = HeadroomDefault
	}
	b := &Budget{config: c, store: store{c.DB}, reload: make(chan struct{}, 1), desks: map[revenuecat.Domain]*desk{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.ended.Go(b.watch)
	if c.Listen.URL != "" {
		b.ended.Go(b.listen)
	}
	return b, nil
}

// Close ends the budget. Those who wait in Take are sent away; calls under way go on.
func (b *Budget) Close() {
	b.cancel()
	b.ended.Wait()
}

// Permit allows one call to start, now.
type Permit struct {
	desk  *desk
	until int64     // its entry in the log
	good  time.Time // no call starts on it later
}

// Unused gives back a permit on which no call was started: to whoever waits in this
// process, or who comes while it is good, and otherwise to the account.
func (p Permit) Unused() {
	d, b := p.desk, p.desk.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.hearing || !d.good(p):
		d.giveBack(p.until, 1)
	case !d.handAny(p, b.config.Now()):
		d.ready = append(d.ready, p)
	}
	d.wake()
}

// Good reports whether a call may still start on the permit.
func (p Permit) Good() bool {
	b := p.desk.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.desk.good(p)
}

// Take waits until a call of the domain may start, for at most about a second.
// The call is to start at once; if it does not, give the permit back. player says
// among whom to take turns. Errors: *NotYet when it would take longer, the provider
// asked for a pause, or PostgreSQL is away; ctx's own when that ends first.
func (b *Budget) Take(ctx context.Context, domain revenuecat.Domain, weight Weight, player string) (Permit, error) {
	b.mu.Lock()
	d := b.desk(domain)
	w := &waiter{player: player, weight: weight, since: d.away.since(weight, player, b.config.Now()), answer: make(chan verdict, 1)}
	b.mu.Unlock()
	for {
		permit, err := d.take(ctx, w)
		if err != nil {
			return Permit{}, err
		}
		if d.start(permit) {
			return permit, nil
		}
	}
}

// desk returns the domain's, with its goroutine running. The caller holds mu.
func (b *Budget) desk(domain revenuecat.Domain) *desk {
	d := b.desks[domain]
	if d == nil {
		d = &desk{budget: b, domain: domain, kick: make(chan struct{}, 1), startedSince: b.config.Now()}
		b.desks[domain] = d
		b.ended.Go(d.run)
	}
	return d
}

// limitLeft is what of a limit we use ourselves.
func (b *Budget) limitLeft(limit int) int { return usable(limit, b.config.Headroom) }

func usable(limit int, headroom func(int) int) int {
	if limit == 0 {
		return 0
	}
	return max(1, limit-headroom(limit))
}

// errClosed is what those hear who wait while the budget is closed.
var errClosed = fmt.Errorf("budget: closed: %w", context.Canceled)
