package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// event returns a webhook of a type about ann's first purchase, with fields changed
// ("product_id=week"); a field set to nothing is left out.
func (r *road) event(t testing.TB, id, kind string, at float64, fields ...string) []byte {
	t.Helper()
	event := map[string]any{
		"id": id, "type": kind, "event_timestamp_ms": r.day(at).UnixMilli(), "store": "APP_STORE", "environment": "PRODUCTION",
		"app_user_id": "ann", "product_id": "monthly", "transaction_id": "1", "original_transaction_id": "1", "period_type": "NORMAL",
		"purchased_at_ms": r.day(0).UnixMilli(), "expiration_at_ms": r.day(30).UnixMilli(),
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		switch {
		case value == "":
			delete(event, name)
		case name == "aliases" || strings.HasPrefix(name, "transferred_"):
			event[name] = strings.Split(value, ",")
		default:
			event[name] = value
		}
	}
	raw, err := json.Marshal(map[string]any{"event": event})
	require.NoError(t, err)
	return raw
}

// consume decides on what is owed, and commits nothing.
func (r *road) consume(t testing.TB) (owed []events.Event, effects []outbox.Effects) {
	t.Helper()
	for _, msg := range r.owed(t) {
		event, err := events.Decode(msg.Payload)
		require.NoError(t, err)
		decided, err := r.runner.Consumer.Consume(t.Context(), event)
		require.NoError(t, err)
		decided.ID = outbox.NewID()
		decided.Done = append(decided.Done, outbox.Delivery{EventID: event.ID, Consumer: "access"})
		owed, effects = append(owed, event), append(effects, decided)
	}
	return owed, effects
}

// merge records what a webhook says of its purchase, and leaves the fold to the event.
func (r *road) merge(t testing.TB, body []byte) {
	t.Helper()
	event, err := webhooks.Parse(body)
	require.NoError(t, err)
	facts, err := event.Facts()
	require.NoError(t, err)
	effects, err := r.store.Merge(t.Context(), *facts.Purchase, events.Bulk, r.day(400))
	require.NoError(t, err)
	effects.ID = outbox.NewID()
	require.Equal(t, outbox.Applied, r.commit(t, effects))
}

func (r *road) commit(t testing.TB, effects outbox.Effects) outbox.Result {
	t.Helper()
	result, err := r.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
	return result
}

// Who crashed before the commit left nothing; who commits what was decided on an
// older history changes nothing.
func TestACrashBetweenStepsAndALateCommitChangeNothingTwice(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0))
	_, _ = r.consume(t) // and crashed
	require.Zero(t, r.count(t, "SELECT count(*) FROM purchases"))
	_, first := r.consume(t)
	_, second := r.consume(t)
	require.Equal(t, outbox.Applied, r.commit(t, first[0]))
	require.Equal(t, outbox.Applied, r.commit(t, first[0]), "its answer was lost")
	require.Equal(t, outbox.Stale, r.commit(t, second[0]), "another worker was faster")
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "ann"), "in the same commit")
	r.merge(t, r.event(t, "e2", "CANCELLATION", 1, "cancel_reason=UNSUBSCRIBE")) // as a reading brings it
	_, _ = r.consume(t)                                                          // the fold, and crashed
	_, first = r.consume(t)
	_, second = r.consume(t)
	require.Len(t, first, 1)
	require.Equal(t, outbox.Applied, r.commit(t, first[0]))
	require.Equal(t, outbox.Stale, r.commit(t, second[0]))
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "ann"))
	require.Empty(t, r.owed(t))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM purchase_grants"))
}

// Who was stale a moment ago records what was said, and leaves the fold to the event:
// many events of one customer at once do not keep each other from being recorded.
func TestWhoWasStaleRecordsFirstAndFoldsLater(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0, "aliases=ann,$RCAnonymousID:1"))
	event, err := events.Decode(r.owed(t)[0].Payload)
	require.NoError(t, err)
	effects, err := r.runner.Consumer.Consume(consumers.DecidingAgain(t.Context()), event)
	require.NoError(t, err)
	require.IsType(t, purchases.Merged{}, effects.Guard)
	effects.ID, effects.Done = outbox.NewID(), []outbox.Delivery{{EventID: event.ID, Consumer: "access"}}
	require.Equal(t, outbox.Applied, r.commit(t, effects))
	require.Empty(t, r.holds(t, "ann"))
	require.Len(t, r.owed(t), 2, "the purchase, and the link")
	r.drain(t)
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "$RCAnonymousID:1"))
}

// A fold of one id alone, begun before the ids became one customer and committed
// after the fold of both, brings nothing a second time, even if neither was ever
// folded before.
func TestAFoldFromBeforeTheLinkComesTooLate(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	r.merge(t, r.event(t, "e1", "INITIAL_PURCHASE", 0, "app_user_id=zoe"))
	owed, alone := r.consume(t)
	require.Equal(t, events.StorePurchaseChangedV1, owed[0].Type)
	r.receive(t, r.event(t, "e2", "SUBSCRIBER_ALIAS", 1, "app_user_id=zoe", "aliases=ann,zoe"))
	for _, msg := range r.owed(t) {
		if strings.HasSuffix(msg.UUID, ".received") {
			_ = r.runner.Handle(msg)
		}
	}
	for _, msg := range r.owed(t) {
		if strings.HasSuffix(msg.UUID, ".customer") {
			_ = r.runner.Handle(msg)
		}
	}
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "zoe"))
	require.Equal(t, outbox.Stale, r.commit(t, alone[0]))
	r.drain(t)
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "zoe"))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM purchase_grants"))
	version := r.count(t, "SELECT version FROM customers WHERE customer_id = 'zoe' AND absorbed")
	r.receive(t, r.event(t, "e3", "UNCANCELLATION", 2, "aliases=ann,zoe"))
	r.drain(t)
	require.Equal(t, version, r.count(t, "SELECT version FROM customers WHERE customer_id = 'zoe'"), "once is enough")
}

// When neither side of a transfer is known, both are read from the provider, under
// one wish each, however often the webhook comes.
func TestATransferOfWhatNobodyKnowsReadsBothSides(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	body := r.event(t, "x1", "TRANSFER", 3, "app_user_id=", "transferred_from=ann,$RCAnonymousID:1", "transferred_to=bob,$RCAnonymousID:2")
	for range 3 {
		r.receive(t, body)
		r.drain(t)
		r.handle(t, r.delivered)
	}
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM outbox WHERE consumer = 'resync' AND payload::text LIKE '%transfer%'"))
	require.Equal(t, 4, r.count(t, "SELECT count(*) FROM customer_transfers"))
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0, "aliases=ann,$RCAnonymousID:1")) // heard of late
	r.drain(t)
	require.Empty(t, r.holds(t, "ann"))
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "$RCAnonymousID:2"))
}

func TestHistoriesThatMeetAreReportedOnce(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0))
	r.receive(t, r.event(t, "e2", "NON_RENEWING_PURCHASE", 1, "app_user_id=zoe", "transaction_id=2", "original_transaction_id=2", "product_id=life", "expiration_at_ms="))
	r.receive(t, r.event(t, "e3", "RENEWAL", 30, "aliases=ann,zoe", "transaction_id=3"))
	r.drain(t)
	r.handle(t, r.delivered)
	require.Equal(t, 1, r.count(t, `SELECT count(*) FROM customer_conflicts WHERE app_user_ids = '["ann", "zoe"]' AND resolved_at IS NULL`))
	require.Equal(t, r.holds(t, "ann"), r.holds(t, "zoe"))
}

func TestWhatCannotBeReadIsSetAsideWithItsReason(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0, "transaction_id="))
	r.receive(t, r.event(t, "e2", "INITIAL_PURCHASE", 0, "transaction_id=2"))
	_, err := r.db.Exec("UPDATE webhook_events SET body = NULL WHERE event_key = 'e2'")
	require.NoError(t, err)
	r.drain(t)
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM dead_letters WHERE consumer = 'access' AND attempts = 1"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM dead_letters WHERE error LIKE '%body is gone%'"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM purchases"))
}

func TestTheSandboxCountsForListedTestersOnly(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t), "tess")
	for _, user := range []string{"ann", "$RCAnonymousID:9"} {
		id := "e-" + user
		r.receive(t, r.event(t, id, "INITIAL_PURCHASE", 0, "environment=SANDBOX", "app_user_id="+user, "transaction_id="+id))
	}
	r.drain(t)
	require.Empty(t, r.holds(t, "$RCAnonymousID:9"))
	r.receive(t, r.event(t, "alias", "SUBSCRIBER_ALIAS", 1, "app_user_id=tess", "aliases=tess,$RCAnonymousID:9"))
	r.drain(t)
	require.Equal(t, "premium 30 (period); chest 2", r.holds(t, "tess"))
	require.Empty(t, r.holds(t, "ann"))
}

// What nobody sells is said in the log and counted, and comes once the catalogue
// has it; what was sold before stays as it was sold.
func TestAProductThatNobodyKnowsBringsNothingUntilTheCatalogueHasIt(t *testing.T) {
	t.Parallel()
	file := flows(t)
	r := newRoad(t, file)
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0))
	r.receive(t, r.event(t, "e2", "NON_RENEWING_PURCHASE", 1, "transaction_id=2", "original_transaction_id=2", "product_id=novelty", "expiration_at_ms="))
	r.drain(t)
	require.Contains(t, r.log.String(), "product=novelty")
	require.NotContains(t, r.log.String(), "ann", "whose it is is nobody's business")
	const unsold = "SELECT count(*) FROM purchases WHERE catalog_version = 0 AND product_id <> ''"
	require.Equal(t, 1, r.count(t, unsold))
	sends := func(n int) {
		t.Helper()
		sent, err := r.catchUp.Round(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, sent)
	}
	sends(0)

	catalog, err := economy.CatalogFromJSON(file.Catalog)
	require.NoError(t, err)
	catalog.Packages["monthly"] = economy.Package{ID: "monthly", Products: catalog.Packages["monthly"].Products, Items: []economy.PackageItem{{Item: "skin", Quantity: 9}}}
	catalog.Packages["novelty"] = economy.Package{ID: "novelty", Products: map[economy.Store][]string{economy.AppStore: {"novelty"}}, Items: []economy.PackageItem{{Item: "ticket", Quantity: 7}}}
	_, err = books.NewCatalogs(r.db).Store(t.Context(), catalog)
	require.NoError(t, err)
	sends(1)
	sends(0) // it is owed already
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE lane = 'bulk'"))
	r.drain(t)
	require.Equal(t, "premium 30 (period); chest 2; ticket 7", r.holds(t, "ann"))
	require.Zero(t, r.count(t, unsold))
	sends(0)

	require.Zero(t, r.count(t, "SELECT count(*) FROM unknown_purchases"))
	_, err = r.db.Exec("INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id) SELECT now(), store, environment, transaction_id, product_id FROM purchases LIMIT 1")
	require.NoError(t, err, "as a fold beside that read before leaves it")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.catchUp.Run(ctx) })
	defer running.Wait()
	defer stop()
	require.Eventually(t, func() bool { return r.count(t, "SELECT count(*) FROM unknown_purchases") == 0 }, time.Minute, 10*time.Millisecond, "it is swept")
}

// What a backfill brought is folded once, by its own event: nobody catches up with it.
func TestWhatIsOwedAFoldIsNotCaughtUpWith(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	recorder := purchases.Recorder{Store: r.store, Committer: r.committer, Now: func() time.Time { return r.day(400) }}
	_, err := recorder.Record(t.Context(), economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: "t"},
		Source: economy.FromExport, Kind: economy.FactSnapshot, At: r.day(1), By: "export",
		AppUserID: "ann", Product: "gems", PurchasedAt: r.day(0), ExpiresAt: new(time.Time{}),
	}, events.Bulk)
	require.NoError(t, err)
	sent, err := r.catchUp.Round(t.Context())
	require.NoError(t, err)
	require.Zero(t, sent)
	require.Len(t, r.owed(t), 1)
	r.drain(t)
	require.Equal(t, "ticket 3", r.holds(t, "ann"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM unknown_purchases"))
}

func TestNothingIsFoldedBeforeThereIsACatalogue(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	_, err := r.db.Exec("DELETE FROM catalog_versions")
	require.NoError(t, err)
	r.receive(t, r.event(t, "e1", "INITIAL_PURCHASE", 0))
	r.handle(t, r.owed(t))
	event, err := events.Decode(r.owed(t)[0].Payload)
	require.NoError(t, err)
	_, err = r.runner.Consumer.Consume(t.Context(), event)
	require.ErrorContains(t, err, "no catalogue was ever loaded")
	require.False(t, consumers.IsPermanent(err), "it comes with the first sluice serve")
}

// What a backfill brings one player is one event and one fold; delivered twice it is one.
func TestManyPurchasesOfABackfillAreFoldedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	bulk, err := purchases.NewBulk(t.Context(), r.db, purchases.BulkConfig{
		Lane: events.Bulk, Source: "export", Now: func() time.Time { return r.day(400) },
		Subscriptions: outbox.Subscriptions{events.StorePurchaseChangedV2: {"access"}},
	})
	require.NoError(t, err)
	defer bulk.Close()
	list := make([]purchases.Statement, 30)
	for i := range list {
		list[i].Fact = economy.PurchaseFact{
			Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: fmt.Sprint("t", i)},
			Source: economy.FromExport, Kind: economy.FactSnapshot, At: r.day(1), By: "export",
			AppUserID: "ann", Product: "gems", PurchasedAt: r.day(0), ExpiresAt: new(time.Time{}),
		}
	}
	_, err = bulk.Merge(t.Context(), list, func(context.Context, *sqlx.Tx, *purchases.Plan) error { return nil })
	require.NoError(t, err)
	owed := r.owed(t)
	require.Len(t, owed, 1)
	r.handle(t, append(owed, owed...))
	require.Equal(t, "ticket 90", r.holds(t, "ann"))
	require.Empty(t, r.owed(t))
	require.Equal(t, 30, r.count(t, "SELECT count(*) FROM purchase_grants"))

	event := events.NewStorePurchasesChanged("empty", events.Bulk, economy.AppStore, economy.Production, nil, false, "ann", r.day(1))
	_, err = r.runner.Consumer.Consume(t.Context(), event)
	require.True(t, consumers.IsPermanent(err), "one that names nothing is for an operator")
}

// Who has part in any purchase of a customer is folded again when the customer was linked,
// although the event names the purchase alone that came with the link.
func TestALinkToldWithAPurchaseConcernsAllPurchases(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	bulk, err := purchases.NewBulk(t.Context(), r.db, purchases.BulkConfig{
		Lane: events.Bulk, Source: "export", Now: func() time.Time { return r.day(400) },
		Subscriptions: outbox.Subscriptions{events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"}},
	})
	require.NoError(t, err)
	defer bulk.Close()
	bought := func(id, player string, day float64, linked ...string) purchases.Statement {
		return purchases.Statement{Aliases: linked, Fact: economy.PurchaseFact{
			Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: id},
			Source: economy.FromExport, Kind: economy.FactSnapshot, At: r.day(day), By: "export",
			AppUserID: player, Product: "gems", PurchasedAt: r.day(0), ExpiresAt: new(time.Time{}),
		}}
	}
	told := func(list ...purchases.Statement) []string {
		t.Helper()
		_, err := bulk.Merge(t.Context(), list, func(context.Context, *sqlx.Tx, *purchases.Plan) error { return nil })
		require.NoError(t, err)
		r.handle(t, r.owed(t))
		var next []string
		require.NoError(t, r.db.Select(&next, "SELECT concat_ws(' ', payload->>'subject', payload->'data'->>'reason') FROM outbox"))
		r.drain(t)
		return next
	}
	told(bought("t1", "zoe", 0), bought("t1", "ann", 1)) // zoe bought what is ann's
	require.Empty(t, told(bought("t2", "ann", 1)))
	require.Equal(t, []string{"zoe ownership"}, told(bought("t3", "ann", 1, "ann", "anon")))
}

// Many events of one customer at once, handled by many workers: each has its effect.
func TestWorkersThatFoldOneCustomerAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRoad(t, flows(t))
	const n = 40
	for i := range n {
		r.receive(t, r.event(t, fmt.Sprint("e", i), "NON_RENEWING_PURCHASE", float64(i), fmt.Sprint("transaction_id=t", i), "product_id=gems", "expiration_at_ms="))
	}
	r.drain(t)
	require.Equal(t, fmt.Sprint("ticket ", 3*n), r.holds(t, "ann"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM dead_letters"))
	claimed := economy.Claim{ID: outbox.NewID(), AppUserID: "ann", Store: economy.AppStore, TransactionID: "t3", ProductID: "gems", ClaimedAt: r.day(1)}
	require.Equal(t, outbox.Applied, r.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: claimed}}))
	r.receive(t, r.event(t, "last", "NON_RENEWING_PURCHASE", n, "transaction_id=last", "product_id=gems", "expiration_at_ms="))
	r.drain(t)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM claims WHERE state = 'confirmed'"))
}
