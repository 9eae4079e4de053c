package purchases_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// books is a database with what writes to it and reads from it.
type books struct {
	db        *sqlx.DB
	committer *outbox.Committer
	store     *purchases.Store
	recorder  *purchases.Recorder
}

var subscriptions = outbox.Subscriptions{
	events.StorePurchaseChangedV1: {"access"}, events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"}, events.StoreWebhookReceivedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"},
}

func newBooks(t *testing.T) *books {
	t.Helper()
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Log: slog.New(slog.DiscardHandler), Subscriptions: subscriptions})
	t.Cleanup(committer.Close)
	store := purchases.NewStore(db)
	return &books{db, committer, store, &purchases.Recorder{Store: store, Committer: committer, Now: func() time.Time { return hour(100) }}}
}

func (b *books) commit(t *testing.T, effects outbox.Effects) outbox.Result {
	t.Helper()
	result, err := b.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
	return result
}

func (b *books) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, b.db.Get(&n, query, args...))
	return n
}

func (b *books) record(t *testing.T, facts ...economy.PurchaseFact) {
	t.Helper()
	for _, fact := range facts {
		_, err := b.recorder.Record(t.Context(), fact, events.Store)
		require.NoError(t, err)
	}
}

// link commits rows that have no guard of their own.
func (b *books) link(t *testing.T, rows ...outbox.Row) {
	t.Helper()
	id := outbox.NewID()
	require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{
		Guard: purchases.Received{ID: id, EventKey: id, ReceivedAt: hour(0), Verdict: purchases.Accepted}, Rows: rows,
	}))
}

func hour(n int) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

func key(id string) economy.PurchaseKey {
	return economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: id}
}

// sold says that a user bought a month of premium.
func sold(id, user string, at int) economy.PurchaseFact {
	return economy.PurchaseFact{
		Key: key(id), Source: economy.FromWebhook, Kind: economy.FactBought, At: hour(at), By: "sold-" + id, AppUserID: user,
		Product: "premium", PurchasedAt: hour(at), ExpiresAt: new(hour(at + 1000)), Paid: &economy.Price{Currency: "EUR", Micros: 9_990_000},
	}
}

func refunded(id string, at int) economy.PurchaseFact {
	return economy.PurchaseFact{
		Key: key(id), Source: economy.FromWebhook, Kind: economy.FactRefunded, At: hour(at), By: "refund-" + id, Refund: &economy.Refund{At: hour(at)},
	}
}

func TestAWebhookIsKeptOnceAndByteForByte(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	body := []byte("{\"event\": \x00\xff \"as it came\"}")
	received := purchases.Received{
		ID: outbox.NewID(), EventKey: "evt-1", EventAt: hour(1), ReceivedAt: hour(2), Type: "RENEWAL", Environment: "production", Verdict: purchases.Accepted,
		Headers: map[string]string{"Content-Type": `a "quoted" one`}, Body: body,
	}
	effects := outbox.Effects{ID: outbox.NewID(), Guard: received, Events: []events.Event{events.NewStoreWebhookReceived(received.ID, "ann", hour(2))}}
	require.Equal(t, outbox.Applied, b.commit(t, effects))
	require.Equal(t, outbox.Applied, b.commit(t, effects), "the same commit, whose answer was lost")
	again := received
	again.ID = outbox.NewID()
	require.Equal(t, outbox.Duplicate, b.commit(t, outbox.Effects{Guard: again, Events: []events.Event{events.NewStoreWebhookReceived(again.ID, "ann", hour(3))}}))
	kept, err := b.store.Webhook(t.Context(), received.ID)
	require.NoError(t, err)
	require.Equal(t, body, kept)
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM webhook_events"))
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM outbox"))
	_, err = b.db.Exec("UPDATE webhook_events SET body = NULL")
	require.NoError(t, err)
	for _, id := range []string{received.ID, again.ID, "x"} {
		_, err = b.store.Webhook(t.Context(), id)
		require.ErrorIs(t, err, purchases.ErrNotFound)
	}
}

// Whatever facts come, from many sides at once and each of them twice, the row ends
// as economy.Merge says, and every statement is kept once.
func TestManyRecordersAtOnceEndAsOneMerge(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	random := rand.New(rand.NewPCG(7, 7))
	want := map[economy.PurchaseKey]economy.Purchase{}
	var facts []economy.PurchaseFact
	statements := map[string]bool{}
	for i := range 60 {
		fact := sold(fmt.Sprintf("t%d", random.IntN(4)), fmt.Sprintf("user %d \"x\"", random.IntN(3)), random.IntN(5))
		fact.Source, fact.By = economy.FromExport, fmt.Sprintf("file{%d}, \\ row", i)
		fact.Quantity, fact.Renewal, fact.PaidUSD = int64(random.IntN(3)), int64(random.IntN(3)), new(int64(random.IntN(2)))
		fact.GraceUntil, fact.EndedAt = new(time.Time{}), new(hour(random.IntN(4)))
		if random.IntN(2) == 0 {
			fact.ExpiresAt = new(time.Time{})
			fact.Refund = &economy.Refund{Reversed: true}
			fact.Intent = &economy.Intent{Code: economy.IntentPaused, Detail: "d", Resumes: hour(9)}
		}
		want[fact.Key] = economy.Merge(want[fact.Key], fact)
		statements[fact.By] = true
		facts = append(facts, fact, fact)
	}
	random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	var running sync.WaitGroup
	problems := make(chan error, len(facts))
	for part := range 4 {
		running.Go(func() {
			for _, fact := range facts[part*len(facts)/4 : (part+1)*len(facts)/4] {
				if _, err := b.recorder.Record(t.Context(), fact, events.Bulk); err != nil {
					problems <- err
				}
			}
		})
	}
	running.Wait()
	close(problems)
	require.NoError(t, <-problems)
	for key, purchase := range want {
		row, err := b.store.Purchase(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, purchase, row.Purchase)
		said, err := b.store.Versions(t.Context(), key)
		require.NoError(t, err)
		require.NotEmpty(t, said)
	}
	require.Equal(t, len(statements), b.count(t, "SELECT count(*) FROM purchase_versions"))
	require.Equal(t, b.count(t, "SELECT sum(version) FROM purchases"), b.count(t, "SELECT count(*) FROM outbox WHERE event_id LIKE '%.changed' AND lane = 'bulk'"))
	_, err := b.store.Purchase(t.Context(), key("none"))
	require.ErrorIs(t, err, purchases.ErrNotFound)
}

func TestAPurchaseThatChangedMeanwhileIsStale(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	first, err := b.store.Merge(t.Context(), sold("t1", "ann", 1), events.Store, hour(1))
	require.NoError(t, err)
	b.record(t, refunded("t1", 2))
	require.Equal(t, outbox.Stale, b.commit(t, first))
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM purchase_versions"), "nothing of what is stale is written")
	second, err := b.store.Merge(t.Context(), sold("t1", "ann", 1), events.Store, hour(1))
	require.NoError(t, err)
	second.ID = outbox.NewID()
	require.Equal(t, outbox.Applied, b.commit(t, second))
	require.Equal(t, outbox.Applied, b.commit(t, second), "the same commit, whose answer was lost")
	row, err := b.store.Purchase(t.Context(), key("t1"))
	require.NoError(t, err)
	require.True(t, row.Refunded())
	require.Equal(t, "ann", row.Owner.Value)
	require.Equal(t, int64(2), row.Version)

	known, err := b.store.Merge(t.Context(), sold("t1", "ann", 1), events.Store, hour(1))
	require.NoError(t, err)
	require.Nil(t, known.Guard, "nothing new: the caller guards it")
	_, err = b.store.Merge(t.Context(), economy.PurchaseFact{}, events.Store, hour(1))
	require.Error(t, err)
}

func TestAMovementIsInTheLedgerOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	m := economy.Movement{
		ID: "vatx_1", AppUserID: "ann", Environment: economy.Sandbox, Source: economy.PurchaseSource, Store: economy.AppStore, ProductID: "gems",
		TransactionID: "t1", Adjustments: economy.Amounts{"GEM": 100, "GOLD": -3}, At: hour(1),
	}
	for range 3 {
		b.link(t, purchases.Movements(m, hour(2))...)
	}
	require.Equal(t, 2, b.count(t, "SELECT count(*) FROM provider_movements WHERE environment = 'sandbox'"))
	require.Equal(t, 100, b.count(t, "SELECT sum(amount) FROM ledger WHERE credit = 'wallet' AND currency = 'GEM' AND cause_id = 'vatx_1'"))
	for _, table := range []string{"provider_movements", "purchase_grants"} {
		_, err := b.db.Exec("DELETE FROM " + table)
		require.ErrorContains(t, err, "append-only")
	}
}
