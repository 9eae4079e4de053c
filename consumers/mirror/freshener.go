package mirror

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

const (
	// gather is how long a reading waits for further movements of its player: a
	// purchase is told by several events within a second.
	gather = time.Second
	// readEvery is how often one player is read at most, by this process.
	readEvery = 5 * time.Second
	// waitingMax bounds the players that wait for a reading. Beyond it none is made:
	// the copy tells its age, and GET /wallet reads by itself.
	waitingMax = 10_000
	// retryAfter is the wait after a failed reading that named none.
	retryAfter = 5 * time.Second
	// giveUpAfter is the age of a movement whose reading is tried no more.
	giveUpAfter = 15 * time.Minute
)

// Provider reads balances where they are kept, when the budget allows it.
type Provider interface {
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Copies keeps our copy of balances; books.Books does.
type Copies interface {
	Balances(ctx context.Context, appUserID string) ([]books.Balance, error)
	KeepReading(ctx context.Context, appUserID string, balances economy.Amounts, asOf time.Time) error
}

// Freshener reads the balances of players whose currency the provider moved: one
// after the other, one reading for all movements of a player that came meanwhile,
// and none where somebody has read since. It is best effort: what it forgets is
// read when the player looks. It is safe for concurrent use.
type Freshener struct {
	provider Provider
	copies   Copies
	now      func() time.Time
	log      *slog.Logger
	metrics  *Metrics
	wake     chan struct{}

	mu      sync.Mutex
	waiting map[string]*wanted
	readAt  map[string]time.Time // readings of the last readEvery
}

// wanted is a player whose balance is to be read.
type wanted struct {
	since time.Time // when we heard of the newest movement, by our clock
	first time.Time // of the oldest
	due   time.Time
}

// NewFreshener returns a Freshener; Run makes it work.
func NewFreshener(provider Provider, copies Copies, now func() time.Time, log *slog.Logger, metrics *Metrics) *Freshener {
	return &Freshener{
		provider: provider, copies: copies, now: now, log: log, metrics: metrics,
		wake: make(chan struct{}, 1), waiting: map[string]*wanted{}, readAt: map[string]time.Time{},
	}
}

// Want asks for a reading of a player's balances that began after since. It never
// waits.
func (f *Freshener) Want(player string, since time.Time) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.waiting[player]; w != nil {
		if since.After(w.since) {
			w.since = since
		}
		return
	}
	if len(f.waiting) >= waitingMax {
		f.metrics.reading("dropped")
		return
	}
	w := &wanted{since: since, first: now, due: now.Add(gather)}
	if again := f.readAt[player].Add(readEvery); again.After(w.due) {
		w.due = again
	}
	f.waiting[player] = w
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run reads what is wanted until ctx ends.
func (f *Freshener) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := f.step(ctx)
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-f.wake:
		}
		timer.Stop()
	}
}

// step makes the reading that is due first, and returns 0, or how long to wait for
// the next one.
func (f *Freshener) step(ctx context.Context) time.Duration {
	player, w, wait := f.next()
	if wait > 0 {
		return wait
	}
	again, err := f.refresh(ctx, player, w)
	if err != nil && ctx.Err() == nil {
		f.later(player, w, again, err)
	}
	return 0
}

// next takes the player who is due first out of those who wait.
func (f *Freshener) next() (string, wanted, time.Duration) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	first, player := (*wanted)(nil), ""
	for id, w := range f.waiting {
		if first == nil || w.due.Before(first.due) {
			first, player = w, id
		}
	}
	for id, at := range f.readAt {
		if now.Sub(at) >= readEvery {
			delete(f.readAt, id)
		}
	}
	switch {
	case first == nil:
		return "", wanted{}, time.Hour // somebody will wake us
	case first.due.After(now):
		return "", wanted{}, first.due.Sub(now)
	}
	delete(f.waiting, player)
	return player, *first, 0
}

// refresh reads a player's balances, unless somebody has since. again is how long to
// wait after an error.
func (f *Freshener) refresh(ctx context.Context, player string, w wanted) (again time.Duration, err error) {
	kept, err := f.copies.Balances(ctx, player)
	if err != nil {
		return retryAfter, err
	}
	newer := len(kept) > 0
	for _, balance := range kept {
		newer = newer && balance.AsOf.After(w.since)
	}
	if newer {
		f.metrics.reading("newer")
		return 0, nil
	}
	f.mu.Lock()
	f.readAt[player] = f.now()
	f.mu.Unlock()
	reading, err := f.provider.Balances(ctx, player)
	if err != nil {
		return max(retryAfter, toldToWait(err)), err
	}
	if err := f.copies.KeepReading(ctx, player, reading.Balances, reading.StartedAt); err != nil {
		return retryAfter, err
	}
	f.metrics.reading("read")
	return 0, nil
}

// toldToWait is the wait that an error names: of the provider, or of the budget.
func toldToWait(err error) time.Duration {
	if failure, ok := errors.AsType[*revenuecat.Error](err); ok {
		return failure.RetryAfter
	}
	var notYet interface{ RetryAfter() time.Duration }
	if errors.As(err, &notYet) {
		return notYet.RetryAfter()
	}
	return 0
}

// later has a reading that failed tried again, unless its movement is old.
func (f *Freshener) later(player string, w wanted, again time.Duration, err error) {
	now := f.now()
	if now.Sub(w.first) > giveUpAfter {
		f.metrics.reading("given_up")
		f.log.Warn("a balance was not read after the provider moved it", "error", err)
		return
	}
	f.metrics.reading("failed")
	f.mu.Lock()
	defer f.mu.Unlock()
	if meanwhile := f.waiting[player]; meanwhile != nil {
		meanwhile.first = w.first
		meanwhile.due = now.Add(again)
		return
	}
	w.due = now.Add(again)
	f.waiting[player] = &w
}
