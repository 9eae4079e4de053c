package operations_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	alice = operations.Who{Name: "alice", Via: operations.Console}
	bob   = operations.Who{Name: "bob", Via: operations.Console}
)

// owed is whom the events of the tests are owed to.
var owed = outbox.Subscriptions{
	events.SpendRequestedV1: {"adjust"}, events.SpendChargedV1: {"fulfil"}, events.SpendRefundingV1: {"compensate"},
	events.StoreWebhookReceivedV1: {"access"}, events.StoreCurrencyMovedV1: {"mirror"}, events.CustomerResyncRequestedV1: {"resync"},
}

// office is a desk over a database of its own, with nobody who works.
type office struct {
	*operations.Desk
	db        *sqlx.DB
	committer *outbox.Committer
	catalog   economy.Catalog
}

func newOffice(t *testing.T) *office {
	t.Helper()
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: owed})
	t.Cleanup(committer.Close)
	catalogs := books.NewCatalogs(db)
	item := func(id string, how economy.HandOver) economy.Item {
		return economy.Item{ID: id, QuantityMax: 9, Price: economy.Amounts{"GEM": 50}, PlayerLimit: 3, HandOver: how}
	}
	catalog, err := catalogs.Store(t.Context(), economy.Catalog{Items: map[string]economy.Item{
		"potion": item("potion", economy.HandOver{Port: economy.HandOverInventory}),
		"sword":  item("sword", economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "game"}),
	}})
	require.NoError(t, err)
	return &office{
		Desk: operations.New(operations.Config{
			DB: db, Committer: committer, Catalogs: catalogs, Owed: owed, Alone: economy.Amounts{"GEM": 100},
			Now: func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }, NewID: outbox.NewID,
		}),
		db: db, committer: committer, catalog: catalog,
	}
}

// hooked commits after something else has happened: what an act was decided on is not
// so any more.
type hooked struct {
	*outbox.Committer
	guard string // before which commit
	first func()
}

// Commit implements operations.Committer.
func (h *hooked) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	if effects.Guard.Kind().Name == h.guard && h.first != nil {
		first := h.first
		h.first = nil
		first()
	}
	return h.Committer.Commit(ctx, effects)
}

// after is a desk to which something happens before a commit.
func (o *office) after(guard string, first func()) *operations.Desk {
	config := o.Config
	config.Committer, config.Patience = &hooked{o.committer, guard, first}, -1
	return operations.New(config)
}

// count returns what a query counts.
func (o *office) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, o.db.Get(&n, query, args...))
	return n
}

// acts returns the deeds on a subject, oldest first, and requires that each says who
// did it and why.
func (o *office) acts(t *testing.T, subject string) []operations.Deed {
	t.Helper()
	list, err := o.Acts(t.Context(), operations.ActFilter{Subject: subject})
	require.NoError(t, err)
	var deeds []operations.Deed
	for _, act := range list {
		require.NotEmpty(t, act.Who)
		require.NotEmpty(t, act.Reason)
		require.True(t, json.Valid(act.Before))
		require.True(t, json.Valid(act.After))
		deeds = append([]operations.Deed{act.Deed}, deeds...)
	}
	return deeds
}

// refusedBy requires an act to be refused, for a reason.
func refusedBy(t *testing.T, err error, why string) {
	t.Helper()
	var refused *operations.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Why, why)
}
