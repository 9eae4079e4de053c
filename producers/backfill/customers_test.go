package backfill_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

const listHeader = "project_id;app_user_id;aliases;last_seen_at;first_purchase_at;most_recent_purchase_at;most_recent_renewal_at;all_purchased_product_ids\n"

// listed is a row of a customer list.
func listed(id, aliases string, seen, bought, renewed time.Time, products string) string {
	millis := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return fmt.Sprint(at.UnixMilli())
	}
	return strings.Join([]string{"proj", id, aliases, millis(seen), "", millis(bought), millis(renewed), products}, ";") + "\n"
}

// told is what a list leaves: links, and who is to be read.
func told(t testing.TB, db *sqlx.DB) []string {
	t.Helper()
	return lines(t, db, `SELECT concat_ws(' ', 'link', app_user_id, alias_of, source) AS line FROM customer_aliases
		UNION ALL SELECT concat_ws(' ', 'owed', consumer, lane, payload->>'type', payload->>'subject', payload->'data'->>'reason') FROM outbox
		UNION ALL SELECT concat_ws(' ', 'wish', app_user_id, reason) FROM resync_requests`)
}

// know records a purchase that somebody made, and a whole reading, if there was one.
func know(t *testing.T, db *sqlx.DB, player, product string, bought, read time.Time) {
	t.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: outbox.Subscriptions{events.StorePurchaseChangedV1: {}, events.StorePurchaseChangedV2: {}}})
	defer committer.Close()
	if !bought.IsZero() {
		recorder := purchases.Recorder{Store: purchases.NewStore(db), Committer: committer, Now: func() time.Time { return start }}
		_, err := recorder.Record(t.Context(), economy.PurchaseFact{
			Key: economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: "t-" + player}, Source: economy.FromWebhook,
			Kind: economy.FactSnapshot, At: bought, By: "e-" + player, AppUserID: player, Product: product, PurchasedAt: bought,
		}, events.Bulk)
		require.NoError(t, err)
	}
	if !read.IsZero() {
		_, err := committer.Commit(t.Context(), outbox.Effects{Guard: purchases.ReadingDone{Reading: purchases.Reading{AppUserID: player, StartedAt: read, FinishedAt: read, Found: true}}})
		require.NoError(t, err)
	}
}

// Only those are read again of whom a list says what we do not know; with --all everybody.
func TestAListHasThoseReadOfWhomItSaysSomethingNew(t *testing.T) {
	t.Parallel()
	day := start.Add(-24 * time.Hour)
	never := time.Time{}
	db := testenv.Postgres(t)
	know(t, db, "known", "gems", day, never)
	know(t, db, "earlier", "gems", day.Add(-time.Hour), never)
	know(t, db, "other", "gems", day, never)
	know(t, db, "read", "", never, day.Add(time.Hour))
	know(t, db, "read-before", "", never, day.Add(time.Minute))
	know(t, db, "alias", "gems", day, never)
	_, err := db.Exec("INSERT INTO customer_aliases (app_user_id, alias_of, source, linked_at) VALUES ('main', 'alias', 'test', now())")
	require.NoError(t, err)
	path := write(t, "list.csv", listHeader+
		listed("seen only", "", start, never, never, "")+
		listed("bought", "", start, day, never, "gems")+
		listed("known", "", start, day, never, "gems")+
		listed("earlier", "", start, day, never, "gems")+
		listed("other", "", start, day, never, "gems,premium")+
		listed("read", "", start, day, never, "gems")+
		listed("read-before", "", start, day, never, "gems")+ // within what the API may lag
		listed("renewed", "", start, never, day, "")+
		listed("products only", "", start, never, never, "gems")+
		listed("main", "", start, day, never, "gems")+ // what its alias bought is known
		listed("linked", "anon,linked", never, never, never, ""))
	run, err := runFeed(t.Context(), newFeedEngine(db), exports.Customers, path)
	require.NoError(t, err)
	want := []string{"link linked anon list", "link main alias test", "owed access bulk store.customer.changed.v1 anon aliased"}
	for _, id := range []string{"bought", "earlier", "linked", "other", "products only", "read-before", "renewed"} {
		want = append(want, "owed resync bulk customer.resync.requested.v1 "+id+" list", "wish "+id+" list")
	}
	require.ElementsMatch(t, want, told(t, db))
	require.Equal(t, backfill.Counts{New: 7, Same: 4, Links: 1, Wishes: 7, Bytes: run.BytesAll}, run.Counts)

	// Once more, while they wait: nothing changes.
	again, err := runFeed(t.Context(), newFeedEngine(db), exports.Customers, path)
	require.NoError(t, err)
	require.Equal(t, backfill.Counts{Same: 11, Bytes: run.BytesAll}, again.Counts)
	require.ElementsMatch(t, want, told(t, db))

	// And once they were read.
	_, err = db.Exec("DELETE FROM outbox")
	require.NoError(t, err)
	for _, id := range []string{"bought", "earlier", "linked", "other", "products only", "read-before", "renewed"} {
		know(t, db, id, "", never, start.Add(time.Hour))
	}
	later := newFeedEngine(db)
	later.Now = func() time.Time { return start.Add(24 * time.Hour) }
	again, err = runFeed(t.Context(), later, exports.Customers, path)
	require.NoError(t, err)
	require.Equal(t, backfill.Counts{Same: 11, Bytes: run.BytesAll}, again.Counts)

	all, err := runCommand(t.Context(), later, backfill.Command{Feed: exports.Customers, URLs: []string{path}, All: true})
	require.NoError(t, err)
	require.Equal(t, int64(11), all.Counts.Wishes)
}

// manyListed is a list of n customers, some with two ids, some who bought.
func manyListed(t *testing.T, n int) string {
	t.Helper()
	var list strings.Builder
	list.WriteString(listHeader)
	for i := range n {
		id, aliases, bought := fmt.Sprintf("p%05d", i), "", time.Time{}
		if i%3 == 0 {
			aliases = id + ",anon-" + id
		}
		if i%2 == 0 {
			bought = start.Add(-time.Hour)
		}
		list.WriteString(listed(id, aliases, start, bought, time.Time{}, ""))
	}
	return write(t, "list.csv.gz", zipped(t, list.String()))
}

func TestAListKilledFiveTimesEndsAsOneThatWasNot(t *testing.T) {
	t.Parallel()
	path := manyListed(t, 3000)
	clean := testenv.Postgres(t)
	run, err := runFeed(t.Context(), newFeedEngine(clean), exports.Customers, path)
	require.NoError(t, err)
	require.Equal(t, int64(2000), run.Counts.Wishes)
	require.Equal(t, int64(1000), run.Counts.Links)
	t.Run("killed", func(t *testing.T) {
		db := testenv.Postgres(t)
		killed(t, db, exports.Customers, path)
		requireSame(t, told(t, clean), told(t, db))
		require.Equal(t, []int{2000, 1000}, []int{count(t, db, "SELECT sum(wishes) FROM backfill_files"), count(t, db, "SELECT sum(links) FROM backfill_files")})
	})
}

func TestAPreviewOfAListChangesNothingAndIsRight(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	path := manyListed(t, 900)
	filter := backfill.Filter{Players: []string{"anon-p00003", "p00004", "p00005", "p00006"}, Since: start.Add(-time.Minute)}
	_, err := runCommand(t.Context(), newFeedEngine(db), backfill.Command{Feed: exports.Customers, URLs: []string{path}, Filter: filter})
	require.NoError(t, err)
	before := told(t, db)
	require.Len(t, before, 2*2+3*2, "two links with their events, three wishes with theirs")
	command := backfill.Command{Feed: exports.Customers, URLs: []string{path, manyListed(t, 20)}}
	found, err := exports.Find(t.Context(), command.URLs, command.Feed)
	require.NoError(t, err)
	var previewed int64
	preview := backfill.Preview{DB: db, Now: func() time.Time { return start }, Each: func(backfill.Previewed) error { previewed++; return nil }}
	answer, err := preview.Run(t.Context(), command, found.Files)
	require.NoError(t, err)
	require.Equal(t, before, told(t, db))
	run, err := runCommand(t.Context(), newFeedEngine(db), command)
	require.NoError(t, err)
	require.Equal(t, run.Counts, answer.Counts)
	require.Equal(t, run.Counts.Wishes+run.Counts.Links, previewed)
	require.Equal(t, map[string]int64{backfill.WhyLinked: 298, backfill.WhyBought: 299}, answer.By)
}

func TestARowOfAListThatCannotBeTakenIsRejected(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprint("id-", i))
	}
	long := "" // too long for an index, whatever PostgreSQL makes of it
	for len(long) < 6000 {
		long += economy.HashID(long)
	}
	path := write(t, "list.csv", listHeader+
		listed("a", "a,b", start, time.Time{}, time.Time{}, "")+
		listed("", "", start, time.Time{}, time.Time{}, "")+
		listed("many", strings.Join(many, ","), start, time.Time{}, time.Time{}, "")+
		listed("long", "x,"+long, start, time.Time{}, time.Time{}, "")+
		listed("c", "c,d", start, time.Time{}, time.Time{}, ""))
	engine, kept := newFeedEngine(db), &refusals{}
	engine.Refused = kept
	run, err := runFeed(t.Context(), engine, exports.Customers, path)
	require.NoError(t, err)
	require.Equal(t, backfill.Counts{New: 2, Refused: 3, Links: 2, Wishes: 2, Bytes: run.BytesAll}, run.Counts)
	var lines []int64
	for _, refused := range kept.list {
		lines = append(lines, refused.Line)
		require.NotEmpty(t, refused.Remedy)
	}
	require.ElementsMatch(t, []int64{3, 4, 5}, lines)
}
