package spendapi

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Spends reads single spends. Both return books.ErrNotFound for one that is not.
type Spends interface {
	Spend(ctx context.Context, id string) (economy.Spend, error)
	SpendByKey(ctx context.Context, appUserID, key string) (economy.Spend, error)
}

// SpendReader reads the spends that requests wait for, many in one query.
type SpendReader interface {
	Spends(ctx context.Context, ids []string) ([]economy.Spend, error)
}

// Counters opens and reads the counter that an item with a limit per player is
// counted in.
type Counters interface {
	OpenCounter(ctx context.Context, appUserID, item string) error
	Used(ctx context.Context, appUserID, item string) (int64, error)
}

// Mirror is our copy of the balances at the provider.
type Mirror interface {
	Balances(ctx context.Context, appUserID string) ([]books.Balance, error)
	KeepReading(ctx context.Context, appUserID string, balances economy.Amounts, asOf time.Time) error
}

// Inventory reads what a player holds.
type Inventory interface {
	Inventory(ctx context.Context, appUserID string) ([]books.Held, error)
}

// Books is all that is read and written beside the commit; books.Books does it.
type Books interface {
	Spends
	SpendReader
	Counters
	Mirror
	Inventory
}

// Provider reads balances where they are kept; revenuecat.Client does.
type Provider interface {
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Sessions tells whose session a token is; SessionVerifier does. An error means
// that the token proves nobody; its text goes to the client. ErrSessionUnavailable
// means that it cannot be told now.
type Sessions interface {
	Verify(token string) (appUserID string, err error)
}
