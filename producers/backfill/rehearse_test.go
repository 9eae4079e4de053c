package backfill_test

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// sell stores a catalogue in which subscriptions open a module for their period, and
// the starter opens one for ever.
func sell(t *testing.T, db *sqlx.DB) {
	t.Helper()
	everywhere := func(products ...string) map[economy.Store][]string {
		return map[economy.Store][]string{economy.AppStore: products, economy.PlayStore: products, economy.StripeStore: products, economy.PromotionalStore: products}
	}
	_, err := books.NewCatalogs(db).Store(t.Context(), economy.Catalog{Packages: map[string]economy.Package{
		"pass": {ID: "pass", Products: everywhere("com.example.pass.monthly"), Accesses: []economy.PackageAccess{{Module: "pass"}}},
		"vip": {ID: "vip", Products: everywhere("com.example.vip:monthly", "com.example.vip:yearly"), FamilyShare: true,
			Accesses: []economy.PackageAccess{{Module: "vip"}}},
		"starter": {ID: "starter", Products: everywhere("com.example.starter"), Accesses: []economy.PackageAccess{{Module: "starter", Lasts: economy.Lasts{Forever: true}}},
			Items: []economy.PackageItem{{Item: "hat", Quantity: 1}}},
		"bombs": {ID: "bombs", Products: everywhere("com.example.gems.100"), Consumable: true, Items: []economy.PackageItem{{Item: "bomb", Quantity: 3}}},
	}})
	require.NoError(t, err)
}

func rehearse(t *testing.T, db *sqlx.DB, command backfill.Command) (backfill.Rehearsed, []backfill.Difference) {
	t.Helper()
	own, err := postgres.Open(t.Context(), postgres.Config{URL: testenv.PostgresURL(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, own.Close()) }()
	found, err := exports.Find(t.Context(), command.URLs, command.Feed)
	require.NoError(t, err)
	var list []backfill.Difference
	answer, err := (&backfill.Rehearsal{
		DB: db, Own: own, Catalogs: books.NewCatalogs(db), Now: func() time.Time { return start },
		Each: func(d backfill.Difference) error { list = append(list, d); return nil },
	}).Run(t.Context(), command, found.Files)
	require.NoError(t, err)
	return answer, list
}

// folds calls each with what the purchases of every customer come to.
func folds(t *testing.T, db *sqlx.DB, each func(economy.Holdings)) {
	t.Helper()
	catalogs, store := books.NewCatalogs(db), purchases.NewStore(db)
	var ids []string
	require.NoError(t, db.Select(&ids, "SELECT DISTINCT app_user_id FROM purchases"))
	seen := map[string]bool{}
	for _, id := range ids {
		h, err := store.History(t.Context(), id)
		require.NoError(t, err)
		if seen[h.Customer.ID] {
			continue
		}
		seen[h.Customer.ID] = true
		catalog, err := catalogs.Catalog(t.Context(), h.CatalogVersion)
		require.NoError(t, err)
		each(economy.Fold(h.Customer, h.Bought(func(p purchases.Recorded) (economy.Package, int64, bool) {
			bundle, ok := catalog.PackageOf(p.Key.Store, p.Product.Value)
			return bundle, catalog.Version, ok
		}, false)))
	}
}

// holders counts the accesses that customers hold by their purchases.
func holders(t *testing.T, db *sqlx.DB) (held int64) {
	t.Helper()
	folds(t, db, func(holdings economy.Holdings) {
		for _, a := range holdings.Accesses {
			if a.State == economy.AccessGranted && (a.ExpiresAt.IsZero() || a.ExpiresAt.After(start)) {
				held++
			}
		}
	})
	return held
}

func TestARehearsalSaysWhatTheBackfillDoesAndChangesNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t, 400)
	db := testenv.Postgres(t)
	sell(t, db)
	live := newRecorder(t, db) // some of it is known, and two of them are refunded since
	refunds := 0
	for i, s := range facts(t, dir)[:60] {
		s.Fact.At = s.Fact.At.Add(-time.Hour)
		s.Fact.Source, s.Fact.By, s.Fact.Kind, s.Fact.Refund = economy.FromWebhook, "evt", economy.FactBought, nil
		if i%20 == 0 {
			s.Fact.Kind, s.Fact.Refund = economy.FactReversed, &economy.Refund{Reversed: true}
			refunds++
		}
		live.record(t, s, events.Store)
	}
	require.Positive(t, refunds)
	before, held := whole(t, db), holders(t, db)
	command := backfill.Command{Feed: exports.Transactions, URLs: []string{dir}}

	answer, list := rehearse(t, db, command)
	requireSame(t, before, whole(t, db))
	require.Zero(t, count(t, db, "SELECT count(*) FROM backfill_runs"))
	unknown, refunded := count(t, db, "SELECT count(*) FROM purchases"), count(t, db, "SELECT count(*) FROM purchases WHERE refunded_at IS NOT NULL")

	run, err := runCommand(t.Context(), newEngine(db), command)
	require.NoError(t, err)
	require.Equal(t, run.Counts, answer.Counts)
	require.Equal(t, int64(count(t, db, "SELECT count(*) FROM purchases")-unknown), answer.Total.New)
	require.Equal(t, int64(count(t, db, "SELECT count(*) FROM purchases WHERE refunded_at IS NOT NULL")-refunded), answer.Total.Refunds-answer.Total.Reversed)
	require.Positive(t, answer.Total.Refunds)
	require.Positive(t, answer.Total.Changed)
	require.Positive(t, answer.Total.Granted)
	require.Equal(t, holders(t, db)-held, answer.Total.Granted-answer.Total.Revoked)
	total := answer.Total
	kinds := map[string]int64{}
	for _, d := range list {
		kinds[d.What] += max(1, d.Quantity)
	}
	require.Equal(t, nonzero(map[string]int64{"new": total.New, "changed": total.Changed, "refund": total.Refunds, "refund_reversed": total.Reversed,
		"access_granted": total.Granted, "access_revoked": total.Revoked, "access_moved": total.Moved, "item_granted": total.Items, "item_revoked": total.ItemsRevoked}), kinds)
	sum := backfill.Impact{}
	for _, p := range answer.Products {
		sum.New, sum.Granted = sum.New+p.New, sum.Granted+p.Granted
	}
	require.Equal(t, total.New, sum.New)
	require.Equal(t, total.Granted, sum.Granted)

	again, list := rehearse(t, db, command)
	require.Empty(t, list)
	require.Zero(t, again.Total)
}

func nonzero(counts map[string]int64) map[string]int64 {
	maps.DeleteFunc(counts, func(_ string, n int64) bool { return n == 0 })
	return counts
}

// A file that is cut off costs what it lacks, in a rehearsal as in a run.
func TestARehearsalGoesOnBehindAFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	export(t, dir, "a.csv", generator.Options{Seed: 4, Rows: 100})
	cut := export(t, dir, "b.csv.gz", generator.Options{Seed: 5, Rows: 20_000, Format: generator.Gzip})
	whole, err := os.ReadFile(cut)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)/4], 0o600))
	export(t, dir, "c.csv", generator.Options{Seed: 6, Rows: 100})
	db := testenv.Postgres(t)
	sell(t, db)
	command := backfill.Command{Feed: exports.Transactions, URLs: []string{dir}}
	answer, _ := rehearse(t, db, command)
	require.Len(t, answer.Unreadable, 1)
	require.Equal(t, cut, answer.Unreadable[0].File)
	require.Equal(t, 200+rowsOf(t, cut), answer.Counts.Rows())
	run, err := runCommand(t.Context(), newEngine(db), command)
	require.Error(t, err)
	require.Equal(t, run.Counts.New, answer.Counts.New)
	require.Equal(t, int64(count(t, db, "SELECT count(*) FROM purchases")), answer.Total.New)
}
