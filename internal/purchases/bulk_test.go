package purchases_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// statements returns random statements of few purchases and few people.
func statements(random *rand.Rand, n int) []purchases.Statement {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	list := make([]purchases.Statement, n)
	for i := range list {
		fact := sold(fmt.Sprintf("t%d", random.IntN(12)), pick("ann", "bob", "a \"\\\n\t\r b", ""), random.IntN(4))
		fact.Source, fact.Kind, fact.By = economy.Source(pick("export", "export", "webhook", "resync", "claim")), economy.FactSnapshot, pick("export", "e1", "<é>")
		fact.Buyer, fact.Original = pick("", "", "cid"), pick("", "t0")
		fact.Quantity, fact.Renewal, fact.PaidUSD = int64(random.IntN(3)), int64(random.IntN(3)), new(int64(random.IntN(2)))
		if random.IntN(2) == 0 {
			fact.ExpiresAt, fact.Refund = nil, &economy.Refund{At: hour(random.IntN(3))}
			fact.Intent = &economy.Intent{Code: economy.IntentPaused, Detail: "d", Resumes: hour(9)}
		}
		if random.IntN(4) == 0 {
			fact.ExpiresAt, fact.Refund = new(time.Time{}), &economy.Refund{Reversed: true}
		}
		list[i].Fact = fact
		if random.IntN(3) == 0 {
			list[i].Aliases = []string{pick("ann", "bob", "cid"), pick("x", "y", "z \\N")}
			if random.IntN(3) == 0 {
				list[i].Aliases = append(list[i].Aliases, pick("b", "c"))
			}
		}
		if random.IntN(9) == 0 {
			list[i].Fact = economy.PurchaseFact{}
		}
	}
	return list
}

// oneByOne records statements as the recorder and the consumers do.
func (b *books) oneByOne(t *testing.T, list []purchases.Statement) {
	t.Helper()
	for _, s := range list {
		if s.Fact.Key.TransactionID != "" {
			_, err := b.recorder.Record(t.Context(), s.Fact, events.Bulk)
			require.NoError(t, err)
		}
		if len(s.Aliases) == 0 {
			continue
		}
		told, err := b.store.Told(t.Context(), economy.PurchaseKey{}, [][]string{s.Aliases})
		require.NoError(t, err)
		effects := outbox.Effects{Guard: purchases.ReadingBegun{AppUserID: "guard", At: hour(1)}, Rows: purchases.Aliases(s.Aliases, "export", hour(100))}
		for range told.Unlinked {
			effects.Events = append(effects.Events, purchases.LinkedEvent(events.Bulk, "export", s.Aliases, hour(100)))
		}
		b.commit(t, effects)
	}
}

func (b *books) bulk(t *testing.T) *purchases.Bulk {
	t.Helper()
	bulk, err := purchases.NewBulk(t.Context(), b.db, purchases.BulkConfig{Lane: events.Bulk, Source: "export", Now: b.recorder.Now, Subscriptions: subscriptions})
	require.NoError(t, err)
	t.Cleanup(bulk.Close)
	return bulk
}

func nothing(context.Context, *sqlx.Tx, *purchases.Plan) error { return nil }

// named are the purchases that events tell players of, one or many in an event.
const named = `(SELECT o.consumer, o.lane, o.payload->>'subject' AS player, (o.payload->>'time')::timestamptz AS at,
		concat_ws('/', o.payload->'data'->>'store', o.payload->'data'->>'environment', t.key) AS key, t.value::bigint AS version
	FROM outbox o, json_each_text(coalesce(o.payload->'data'->'transactions', json_build_object(o.payload->'data'->>'transaction_id', o.payload->'data'->'version'))) t
	WHERE o.event_id LIKE '%.changed')`

// folded are the links that events have customers folded for: one of their own, or one
// that tells a player of purchases beside.
const folded = `(SELECT DISTINCT o.consumer, o.lane, a.app_user_id, a.alias_of FROM customer_aliases a
	JOIN (SELECT alias_of AS member, alias_of FROM customer_aliases UNION SELECT app_user_id, alias_of FROM customer_aliases) m USING (alias_of)
	JOIN outbox o ON o.payload->>'subject' = m.member AND (o.payload->'data'->>'reason' = 'aliased' OR o.payload->'data'->>'linked' = 'true'))`

// whole is everything that a bulk may write, as text. An event may tell of many
// purchases, or of one: what is told to whom, up to which version, is the same.
func (b *books) whole(t *testing.T) []string {
	t.Helper()
	var rows []string
	require.NoError(t, b.db.Select(&rows, `SELECT * FROM (
		SELECT 'purchase ' || (to_jsonb(p) - 'change_id')::text AS line FROM purchases p
		UNION ALL SELECT 'version ' || to_jsonb(v)::text FROM purchase_versions v WHERE NOT EXISTS (SELECT FROM purchases p -- which tells the same
			WHERE p.version = 1 AND (p.transaction_id, p.store, p.environment) = (v.transaction_id, v.store, v.environment)
				AND p.stamps::jsonb ? concat_ws(' ', v.source, (extract(epoch FROM v.said_at) * 1000000)::bigint, v.kind, v.said_by))
		UNION ALL SELECT 'alias ' || to_jsonb(a)::text FROM customer_aliases a
		UNION ALL SELECT 'told ' || concat_ws(' ', consumer, lane, player, at, key, max(version)) FROM `+named+` n GROUP BY consumer, lane, player, at, key
		UNION ALL SELECT concat_ws(' ', 'folded for', consumer, lane, app_user_id, alias_of) FROM `+folded+` f
		UNION ALL SELECT 'owed ' || (to_jsonb(o) - 'due_at' - 'owed_since' - 'published_at')::text FROM outbox o
			WHERE event_id NOT LIKE '%.changed' AND (payload->'data'->>'reason' = 'aliased') IS NOT TRUE
		) all_of_it ORDER BY line COLLATE "C"`))
	return rows
}

// steps are the versions of purchases that players are told of.
func (b *books) steps(t *testing.T) []string {
	t.Helper()
	var list []string
	require.NoError(t, b.db.Select(&list, `SELECT concat_ws(' ', consumer, lane, player, key, version) FROM `+named+` n`))
	return list
}

func TestABulkEndsAsOneByOne(t *testing.T) {
	t.Parallel()
	one := newBooks(t)
	t.Run("in another database", func(t *testing.T) {
		many := newBooks(t)
		bulk := many.bulk(t)
		random := rand.New(rand.NewPCG(11, 11))
		changed := 0
		for round := range 12 {
			list := statements(random, 1+random.IntN(60))
			one.oneByOne(t, list)
			for len(list) > 0 { // in chunks of any size
				n := 1 + random.IntN(len(list))
				plan, err := bulk.Merge(t.Context(), list[:n], nothing)
				require.NoError(t, err)
				list = list[n:]
				changed += plan.Changed
			}
			require.Equal(t, one.whole(t), many.whole(t), "round %d", round)
			require.Subset(t, one.steps(t), many.steps(t), "no step is told that was not one")
		}
		require.Greater(t, changed, 50)
	})
}

func TestABulkAgainChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bulk := b.bulk(t)
	list := statements(rand.New(rand.NewPCG(3, 3)), 80)
	first, err := bulk.Merge(t.Context(), list, nothing)
	require.NoError(t, err)
	require.Equal(t, 12, first.New)
	require.Positive(t, first.Linked)
	before := b.whole(t)
	again, err := bulk.Merge(t.Context(), list, nothing)
	require.NoError(t, err)
	require.Zero(t, again.New+again.Changed+again.Linked+again.Owed)
	require.Equal(t, before, b.whole(t))
}

// A bulk leaves the first statement in its purchase's row, where everybody finds it, until
// another changes that row, whoever brings it.
func TestABulkWritesTheFirstStatementDownWithTheSecond(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bulk := b.bulk(t)
	said := func(id string) []purchases.Said {
		list, err := b.store.Versions(t.Context(), key(id))
		require.NoError(t, err)
		return list
	}
	written := func() int { return b.count(t, "SELECT count(*) FROM purchase_versions") }
	firsts := []purchases.Statement{{Fact: sold("t1", "ann", 1)}, {Fact: sold("t2", "ann", 1)}, {Fact: sold("t3", "ann", 1)}}
	_, err := bulk.Merge(t.Context(), firsts, nothing)
	require.NoError(t, err)
	require.Zero(t, written())
	before := said("t1")
	require.Len(t, before, 1)
	require.Equal(t, []any{"webhook", "sold-t1", int(economy.FactBought), hour(1), hour(100)}, []any{before[0].Source, before[0].By, before[0].Kind, before[0].At.UTC(), before[0].RecordedAt.UTC()})
	var fact economy.PurchaseFact
	require.NoError(t, json.Unmarshal(before[0].Fact, &fact))
	want := sold("t1", "ann", 1)
	fact.Key, fact.Source, fact.Kind, fact.At, fact.By = want.Key, want.Source, want.Kind, want.At, want.By
	require.Equal(t, economy.PurchaseOf(want), economy.PurchaseOf(fact))

	_, err = bulk.Merge(t.Context(), append(firsts, purchases.Statement{Fact: refunded("t2", 5)}), nothing)
	require.NoError(t, err)
	b.record(t, refunded("t3", 5))
	require.Equal(t, 4, written(), "of two purchases both")
	for _, id := range []string{"t2", "t3"} {
		list := said(id)
		require.Len(t, list, 2)
		require.JSONEq(t, string(before[0].Fact), string(list[0].Fact))
		require.Equal(t, "refund-"+id, list[1].By)
	}
	b.record(t, sold("t1", "ann", 1))
	require.Len(t, said("t1"), 1, "it is one statement, however often it is told")

	// A recorder writes the first one down at once. A bulk that meets it writes none twice,
	// nor does it when it meets the next.
	for _, id := range []string{"t4", "t5"} {
		b.record(t, sold(id, "ann", 1))
		before := written()
		plan, err := bulk.Merge(t.Context(), []purchases.Statement{{Fact: refunded(id, 5)}}, nothing)
		require.NoError(t, err)
		require.Equal(t, 1, plan.Changed)
		require.Equal(t, before+1, written())
		require.Len(t, said(id), 2)
	}
}

// Several bulks and recorders at once, all of the same purchases: the end is the same.
func TestBulksBesideLiveCommitsEndAsOneMerge(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	random := rand.New(rand.NewPCG(5, 5))
	list := statements(random, 240)
	want := map[economy.PurchaseKey]economy.Purchase{}
	for i := range list {
		s := &list[i]
		s.Aliases, s.Fact.AppUserID = nil, "ann"
		if s.Fact.Key.TransactionID != "" {
			want[s.Fact.Key] = economy.Merge(want[s.Fact.Key], s.Fact)
		}
	}
	var running sync.WaitGroup
	problems := make(chan error, 16)
	for range 2 {
		mine := append([]purchases.Statement{}, list...)
		random.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		bulk := b.bulk(t)
		running.Go(func() {
			for at := 0; at < len(mine); at += 10 {
				if _, err := bulk.Merge(t.Context(), mine[at:at+10], nothing); err != nil {
					problems <- err
					return
				}
			}
		})
		running.Go(func() {
			for _, s := range mine[:120] {
				if s.Fact.Key.TransactionID == "" {
					continue
				}
				if _, err := b.recorder.Record(t.Context(), s.Fact, events.Bulk); err != nil {
					problems <- err
					return
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
	}
	require.Equal(t, len(want), b.count(t, `SELECT count(*) FROM purchases p WHERE version = (SELECT max(version) FROM `+named+` n
		WHERE n.player = p.app_user_id AND n.key = concat_ws('/', p.store, p.environment, p.transaction_id))`), "the owner of each is told of its last version")
}

// A player's purchases are told by one event, or by a few of a bounded size.
func TestAPlayerIsToldOfManyPurchasesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	list := make([]purchases.Statement, 501)
	for i := range list {
		player := "bob"
		if i > 0 {
			player = "ann"
		}
		list[i].Fact = economy.PurchaseFact{
			Key: key(fmt.Sprint("t", i)), Source: economy.FromExport, Kind: economy.FactSnapshot, At: hour(1), By: "export", AppUserID: player, Product: "p", PurchasedAt: hour(0),
		}
	}
	plan, err := b.bulk(t).Merge(t.Context(), list, nothing)
	require.NoError(t, err)
	require.Equal(t, 4, plan.Owed)
	require.Equal(t, 501, b.count(t, "WITH n AS MATERIALIZED (SELECT * FROM "+named+" named) SELECT count(*) FROM n JOIN purchases p ON p.app_user_id = n.player AND n.version = 1 AND n.key = concat_ws('/', p.store, p.environment, p.transaction_id)"))
	require.Equal(t, 200, b.count(t, "SELECT max((SELECT count(*) FROM json_object_keys(payload->'data'->'transactions'))) FROM outbox"))
}

// Who is told of a purchase is folded with the links of the same commit: one event. A link
// that comes alone has one of its own.
func TestALinkBesideAPurchaseIsToldWithIt(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bulk := b.bulk(t)
	merge := func(list ...purchases.Statement) []string {
		t.Helper()
		_, err := b.db.Exec("DELETE FROM outbox")
		require.NoError(t, err)
		_, err = bulk.Merge(t.Context(), list, nothing)
		require.NoError(t, err)
		var owed []string
		require.NoError(t, b.db.Select(&owed, `SELECT concat_ws(' ', payload->>'type', payload->>'subject', payload->'data'->>'reason', payload->'data'->>'linked') FROM outbox ORDER BY 1`))
		return owed
	}
	of := func(id, player string, linked ...string) purchases.Statement {
		s := purchases.Statement{Fact: economy.PurchaseFact{
			Key: key(id), Source: economy.FromExport, Kind: economy.FactSnapshot, At: hour(1), By: "export", AppUserID: player, Product: "p", PurchasedAt: hour(0),
		}}
		if len(linked) > 0 {
			s.Aliases = append([]string{player}, linked...)
		}
		return s
	}
	const changed = "store.purchase.changed.v2 "
	require.Equal(t, []string{changed + "ann true", changed + "bob"}, merge(of("t1", "ann", "anon-1"), of("t2", "ann"), of("t3", "bob")))
	require.Equal(t, []string{changed + "anon-1 true"}, merge(of("t4", "anon-1", "anon-2")), "whoever of the ids is told")
	require.Equal(t, []string{"store.customer.changed.v1 ann aliased", changed + "eve"}, merge(of("t1", "ann", "anon-3"), of("t5", "eve")), "nothing is new of the purchase")
	require.Empty(t, merge(of("t1", "ann", "anon-3")))
}

func TestABulkIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	bulk := b.bulk(t)
	list := statements(rand.New(rand.NewPCG(3, 3)), 20)
	own := errors.New("the caller's own")
	_, err := bulk.Merge(t.Context(), list, func(context.Context, *sqlx.Tx, *purchases.Plan) error { return own })
	require.Equal(t, own, err)
	require.Empty(t, b.whole(t))

	list[3].Fact.Product = "a\x00b"
	list[3].Fact.Key = key("t1")
	_, err = bulk.Merge(t.Context(), list, nothing)
	var data *outbox.DataError
	require.ErrorAs(t, err, &data)
	require.Empty(t, b.whole(t))
	_, err = bulk.Merge(t.Context(), list[4:], nothing)
	require.NoError(t, err, "the connection is as good as before")
	require.NotEmpty(t, b.whole(t))
}

func TestAFactIsStoredAsEncodingJSONWould(t *testing.T) {
	t.Parallel()
	for _, s := range statements(rand.New(rand.NewPCG(8, 8)), 300) {
		want, err := json.Marshal(s.Fact)
		require.NoError(t, err)
		require.Equal(t, string(want), string(purchases.AppendFact(nil, &s.Fact)))
	}
}
