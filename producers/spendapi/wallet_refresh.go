package spendapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

const (
	// walletEvery is how often at most one player's balance is read from the
	// provider, by this process.
	walletEvery = 3 * time.Second
	// walletPatience bounds one reading with everything in it; a player waits for it.
	walletPatience = 2 * time.Second
	// readingsMax bounds the readings under way at once, so that a slow provider
	// binds neither memory nor its own budget to us. Beyond it the copy is shown.
	readingsMax = 64
	// refreshesMax is when refreshes that are older than walletEvery are dropped.
	refreshesMax = 1024
)

// wallets keeps our copies of balances fresh: one reading per player at a time and
// in walletEvery, whoever asks meanwhile shares it. It is safe for concurrent use.
type wallets struct {
	provider Provider
	mirror   Mirror
	now      func() time.Time
	log      *slog.Logger
	slots    chan struct{}
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	// names of the project's currencies, as far as we have read them.
	names atomic.Pointer[map[economy.Currency]string]

	mu      sync.Mutex
	recent  map[string]*refresh
	sweepAt int
}

// refresh is one reading of one player's balances.
type refresh struct {
	began time.Time
	done  chan struct{} // closed when reading and err are there
	// reading is what the provider said, empty after an error.
	reading revenuecat.Reading
	err     error
}

var errBusy = errors.New("too many balances are being read")

func newWallets(provider Provider, mirror Mirror, now func() time.Time, log *slog.Logger) *wallets {
	ctx, stop := context.WithCancel(context.Background())
	w := &wallets{
		provider: provider, mirror: mirror, now: now, log: log, slots: make(chan struct{}, readingsMax),
		ctx: ctx, stop: stop, recent: map[string]*refresh{}, sweepAt: refreshesMax,
	}
	w.names.Store(&map[economy.Currency]string{})
	return w
}

// refresh returns the player's refresh of the last walletEvery, or makes one. It
// goes on when the request that began it is gone, because others wait for it.
func (w *wallets) refresh(ctx context.Context, player string) *refresh {
	it := w.current(player)
	select {
	case <-it.done:
		return it
	case <-ctx.Done():
		return &refresh{err: ctx.Err()}
	}
}

func (w *wallets) current(player string) *refresh {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if it, ok := w.recent[player]; ok && now.Sub(it.began) < walletEvery && !now.Before(it.began) {
		return it
	}
	it := &refresh{began: now, done: make(chan struct{})}
	select {
	case w.slots <- struct{}{}:
	default:
		it.err = errBusy
		close(it.done)
		return it // not remembered: the next request may find a slot
	}
	w.sweep(now)
	w.recent[player] = it
	w.running.Go(func() {
		defer func() { <-w.slots }()
		defer close(it.done)
		w.read(it, player)
	})
	return it
}

// sweep drops what is no longer recent, when the table has doubled since.
func (w *wallets) sweep(now time.Time) {
	if len(w.recent) < w.sweepAt {
		return
	}
	maps.DeleteFunc(w.recent, func(_ string, it *refresh) bool { return now.Sub(it.began) >= walletEvery })
	w.sweepAt = max(refreshesMax, 2*len(w.recent))
}

// read asks the provider and keeps what it says.
func (w *wallets) read(it *refresh, player string) {
	ctx, cancel := context.WithTimeout(w.ctx, walletPatience)
	defer cancel()
	reading, err := w.provider.Balances(ctx, player)
	if err != nil {
		it.err = err
		return
	}
	it.reading = reading
	w.learn(reading.Names)
	if len(reading.Balances) == 0 {
		return
	}
	if err := w.mirror.KeepReading(ctx, player, reading.Balances, reading.StartedAt); err != nil {
		w.log.Warn("a reading of balances was not kept", "error", err)
	}
}

// learn adds names of currencies. They are the project's, so there are few.
func (w *wallets) learn(names map[economy.Currency]string) {
	for {
		known := w.names.Load()
		if containsAll(*known, names) {
			return
		}
		more := maps.Clone(*known)
		maps.Copy(more, names)
		if w.names.CompareAndSwap(known, &more) {
			return
		}
	}
}

func containsAll(known, names map[economy.Currency]string) bool {
	for currency, name := range names {
		if known[currency] != name {
			return false
		}
	}
	return true
}

// close ends readings under way and waits for them.
func (w *wallets) close() {
	w.stop()
	w.running.Wait()
}
