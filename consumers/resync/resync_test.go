package resync_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

func TestAResyncRecordsEverythingThatWasBought(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const anon = "$RCAnonymousID:1"
	gems := w.bought(w.Buy(simulator.Buy{Customer: anon, Product: "gems_100", Quantity: 3}))
	refunded := w.bought(w.Buy(simulator.Buy{Customer: anon, Product: "gems_100", Sandbox: true}))
	w.bought(w.Refund(refunded))
	premium := w.bought(w.Buy(simulator.Buy{Customer: anon, Product: "premium"}))
	second := w.bought(w.Renew(premium, ""))
	w.pass(month)
	w.bought(w.Expire(second))
	require.NoError(t, w.Link("ann", anon))
	w.resync("ann", "1")

	at := noon
	for _, id := range []string{gems, refunded, premium, second} {
		environment := economy.Production
		if id == refunded {
			environment = economy.Sandbox
		}
		p := w.purchase(economy.AppStore, environment, id)
		require.True(t, p.Confirmed())
		require.Equal(t, anon, p.Owner.Value)
		require.Equal(t, id == refunded, p.Refunded())
		require.Equal(t, economy.OwnershipPurchased, p.Ownership.Value)
		switch id {
		case gems:
			require.Equal(t, []any{"gems_100", int64(3), at, time.Time{}, true}, []any{p.Product.Value, p.Quantity.Value, p.PurchasedAt.Value, p.ExpiresAt.Value, p.ExpiresAt.Known()})
		case premium:
			require.Equal(t, []any{"premium", premium, p.PurchasedAt.Value.Add(month), time.Time{}}, []any{p.Product.Value, p.Original.Value, p.ExpiresAt.Value, p.EndedAt.Value})
		case second:
			require.Equal(t, premium, p.Original.Value)
			require.True(t, p.EndedAt.Value.Before(p.ExpiresAt.Value))
		}
	}
	customer, err := w.store.Customer(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, economy.Customer{ID: "ann", AppUserIDs: []string{anon, "ann"}}, customer)
	balances, err := w.books.Balances(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, economy.Amount(300), balances[0].Balance)
	reading, err := w.store.ReadingOf(t.Context(), []string{anon, "ann"})
	require.NoError(t, err)
	require.Equal(t, []any{true, int64(4), int64(4)}, []any{reading.Found, reading.Purchases, reading.Changed})
	require.Equal(t, 1, w.count("SELECT count(*) FROM outbox WHERE event_id LIKE '%.customer' AND payload->'data'->>'reason' = 'aliased'"))
	require.Equal(t, 4, w.count("SELECT count(*) FROM outbox WHERE event_id LIKE '%.changed'"))
}

// A repeated resync changes nothing of what is known, though it is a newer word; an
// end whose time the API does not tell stays where it was first seen.
func TestARepeatedResyncChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bought(w.Refund(w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))))
	web := w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "premium", Store: "stripe"}))
	w.bought(w.Expire(web))
	w.bought(w.Renew(w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "premium:monthly", Store: "play_store"})), ""))
	w.resync("ann", "1")
	what := func() [][]string {
		return [][]string{w.rows("purchases", "stamps", "version", "change_id"), w.rows("customer_aliases"), w.rows("balances", "as_of")}
	}
	before := what()
	require.Len(t, before[0], 4)
	w.pass(time.Hour)
	w.resync("ann", "2")
	require.Equal(t, before, what())
}

func TestSeveralWishesWithinSecondsCostOneReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))
	var running sync.WaitGroup
	problems := make(chan error, 8)
	wishes := make([]events.Event, 8)
	for i := range wishes {
		wishes[i] = w.wish(events.ResyncTransfer, string(rune('a'+i)), "ann")
	}
	w.pass(2 * time.Second)
	for _, wish := range wishes {
		running.Go(func() { problems <- w.consume(wish) })
	}
	running.Wait()
	close(problems)
	for err := range problems {
		require.NoError(t, err)
	}
	once := map[string]int{"aliases": 1, "purchases": 1, "subscriptions": 1, "products": 1, "balances": 1}
	require.Equal(t, once, w.Stats().ByOperation)
	require.NoError(t, w.consume(wishes[0]), "a wish that comes again")
	require.Equal(t, once, w.Stats().ByOperation)

	w.pass(time.Second)
	w.resync("ann", "later")
	require.Equal(t, 2, w.Stats().ByOperation["purchases"], "a wish made after the reading began is not answered by it")
	require.Equal(t, 1, w.Stats().ByOperation["products"])
	require.Equal(t, []time.Duration{2 * time.Second}, w.waited, "only a fresh wish waits")
	require.Equal(t, 1, w.count("SELECT count(*) FROM purchases"))
}

func TestWhomTheProviderDoesNotKnowIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.resync("nobody", "1")
	require.Equal(t, map[string]int{"aliases": 1}, w.Stats().ByOperation)
	reading, err := w.store.ReadingOf(t.Context(), []string{"nobody"})
	require.NoError(t, err)
	require.False(t, reading.Found)
	require.Equal(t, 0, w.count("SELECT count(*) FROM balances"))
}

// A transfer is told by both sides' readings, in either order.
func TestATransferIsToldByEitherSide(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"ann", "bob"}, {"bob", "ann"}, {"bob"}} {
		w := newWorld(t)
		gems := w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))
		w.resync("ann", "before")
		w.pass(time.Hour)
		w.bought(w.Transfer("ann", "bob"))
		w.pass(time.Hour)
		for _, player := range order {
			w.resync(player, "after")
		}
		p := w.purchase(economy.AppStore, economy.Production, gems)
		require.Equal(t, []string{"bob", "ann"}, []string{p.Owner.Value, p.Buyer.Value}, order)
	}
}

func TestAReadingThatFailsIsTriedAgainAndRecordsNothingByHalves(t *testing.T) {
	t.Parallel()
	var stop func(r *http.Request) int
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if status := stop(r); status != 0 {
				out.Header().Set("Retry-After", "3")
				out.WriteHeader(status)
				return
			}
			next.ServeHTTP(out, r)
		})
	})
	w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))
	w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "premium"}))
	wish := w.wish(events.ResyncRestore, "1", "ann")
	for _, test := range []struct {
		part      string
		status    int
		permanent bool
	}{
		{"/aliases", 500, false}, {"/purchases", 423, false}, {"/subscriptions", 401, false}, {"/products", 403, false},
		{"/transactions", 503, false}, {"/virtual_currencies", 500, false}, {"/purchases", 400, true}, {"/aliases", 422, true},
	} {
		stop = func(r *http.Request) int {
			if len(r.URL.Path) > len(test.part) && r.URL.Path[len(r.URL.Path)-len(test.part):] == test.part {
				return test.status
			}
			return 0
		}
		err := w.consume(wish)
		require.Error(t, err, test.part)
		require.Equal(t, test.permanent, consumers.IsPermanent(err), "%s: %v", test.part, err)
		if !test.permanent {
			require.Positive(t, consumers.Decide(w.consumer.Spec(), 1, err, 0.5).After)
		}
		require.Equal(t, 0, w.count("SELECT count(*) FROM purchases"), test.part)
		w.pass(5 * time.Minute) // a 503 closes the domain for a while
	}
	stop = func(*http.Request) int { return 0 }
	require.NoError(t, w.consume(wish))
	require.Equal(t, 2, w.count("SELECT count(*) FROM purchases"))
}

// One item that makes no sense is a dead letter, and keeps nothing else from being
// recorded; read again after it was mended, it is there.
func TestWhatCannotBeRecordedKeepsNothingElseBack(t *testing.T) {
	t.Parallel()
	odd := true
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if odd && r.URL.Path == "/v2/projects/proj_sim/customers/ann/purchases" {
				_, _ = out.Write([]byte(`{"items":[
					{"id":"1","customer_id":"ann","store_purchase_identifier":"","store":"app_store","environment":"production"},
					{"id":"2","customer_id":"ann","store_purchase_identifier":"t\u0000","store":"app_store","environment":"production","purchased_at":1772366400000},
					{"id":"3","customer_id":"ann","store_purchase_identifier":"t3","store":"app_store","environment":"production","purchased_at":1772366400000}]}`))
				return
			}
			next.ServeHTTP(out, r)
		})
	})
	w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "premium"}))
	wish := w.wish(events.ResyncRestore, "1", "ann")
	require.True(t, consumers.IsPermanent(w.consume(wish)))
	require.Equal(t, 2, w.count("SELECT count(*) FROM purchases"))
	odd = false
	require.NoError(t, w.consume(wish), "an operator replays the dead letter")
	require.Equal(t, 1, w.count("SELECT count(*) FROM customer_readings WHERE started_at IS NOT NULL"))
}

func TestAWishThatIsNoneIsADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.True(t, consumers.IsPermanent(w.consume(w.wish(events.ResyncOperator, "1", ""))))
	require.True(t, consumers.IsPermanent(w.consume(w.wish(events.ResyncOperator, "1", ".."))))
	broken := w.wish(events.ResyncOperator, "1", "ann")
	broken.Data = []byte(`"x"`)
	require.True(t, consumers.IsPermanent(w.consume(broken)))
}

// An operator's wish is kept with who wished, and is answered by the reading.
func TestAnOperatorsWishIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wish := w.wish(events.ResyncOperator, "1", "ann")
	commit := func(guard outbox.GuardRow) outbox.Result {
		result, err := w.committer.Commit(t.Context(), outbox.Effects{Guard: guard, Events: []events.Event{wish}})
		require.NoError(t, err)
		return result
	}
	for _, by := range []string{"root@host", "root@host again"} {
		require.Equal(t, outbox.Applied, commit(purchases.Wished{AppUserID: "ann", At: w.clock(), By: by}))
		w.pass(time.Second)
	}
	require.Equal(t, outbox.Applied, commit(purchases.Wished{AppUserID: "ann", At: noon.Add(-time.Hour), By: "an older one"}))
	require.Equal(t, 1, w.count("SELECT count(*) FROM customer_readings WHERE wished_by = 'root@host again'"))
	owed, dead, err := w.store.Delivery(t.Context(), wish.ID, "resync")
	require.NoError(t, err)
	require.Equal(t, []any{true, ""}, []any{owed, dead})
	_, err = w.store.ReadingOf(t.Context(), []string{"ann"})
	require.ErrorIs(t, err, purchases.ErrNotFound)
	effects, err := w.consumer.Consume(t.Context(), wish)
	require.NoError(t, err)
	effects.Done = append(effects.Done, outbox.Delivery{EventID: wish.ID, Consumer: "resync"})
	_, err = w.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
	owed, dead, err = w.store.Delivery(t.Context(), wish.ID, "resync")
	require.NoError(t, err)
	require.Equal(t, []any{false, ""}, []any{owed, dead})
}

// noted notes whether what it reads is asked for in idle calls alone.
type noted struct {
	*revenuecat.Client
	idle []bool
}

func (n *noted) Balances(ctx context.Context, player string) (revenuecat.Reading, error) {
	n.idle = append(n.idle, revenuecat.IsIdle(ctx))
	return n.Client.Balances(ctx, player)
}

// Wishes of comparisons and backfills take only the calls that nobody else wants.
func TestABulkWishIsReadInIdleCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))
	reads := &noted{Client: w.consumer.Balances.(*revenuecat.Client)}
	w.consumer.Balances = reads
	for _, lane := range []events.Lane{events.Store, events.Bulk} {
		require.NoError(t, w.consume(events.NewCustomerResyncRequested(lane, events.ResyncOperator, string(lane), "ann", w.clock())))
		w.pass(time.Minute)
	}
	require.Equal(t, []bool{false, true}, reads.idle)
}
