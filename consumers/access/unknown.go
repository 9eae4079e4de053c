package access

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// unknownEvery is how often a product that no catalogue has is told of again.
	unknownEvery = time.Hour
	// unknownMax bounds the products that are remembered.
	unknownMax = 1000
)

// Unknown tells the log of products that were bought and that no catalogue has: each at
// once, and then once an hour with how often it was bought since. A backfill brings tens
// of thousands of such purchases. It is safe for concurrent use.
type Unknown struct {
	Log *slog.Logger
	Now func() time.Time

	mu   sync.Mutex
	told map[soldIn]*toldOf
}

// soldIn is a product of a store.
type soldIn struct {
	store   economy.Store
	product string
}

// toldOf is when a product was told of, and how many purchases there were since.
type toldOf struct {
	at    time.Time
	since int64
}

// bought counts a purchase of a product that no catalogue has.
func (u *Unknown) bought(ctx context.Context, p economy.Purchase) {
	of, now := soldIn{p.Key.Store, p.Product.Value}, u.Now()
	u.mu.Lock()
	t := u.told[of]
	if t == nil {
		if u.told == nil || len(u.told) >= unknownMax {
			u.told = map[soldIn]*toldOf{}
		}
		t = &toldOf{at: now.Add(-unknownEvery)}
		u.told[of] = t
	}
	t.since++
	n := t.since
	due := now.Sub(t.at) >= unknownEvery
	if due {
		t.at, t.since = now, 0
	}
	u.mu.Unlock()
	if due {
		u.Log.WarnContext(ctx, "a product was bought that the catalogue does not have: it brings nothing until it does. sluice_purchases_unknown_product counts such purchases",
			"store", string(of.store), "product", of.product, "purchases", n, "purchase_id", p.Key.ID())
	}
}
