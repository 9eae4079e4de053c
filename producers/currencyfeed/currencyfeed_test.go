package currencyfeed_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/currencyfeed"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// noon is when the first call of a desk was made.
var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// desk is a database with calls, and the feed that the provider makes of its own.
type desk struct {
	t         *testing.T
	db        *sqlx.DB
	committer *outbox.Committer
	rows      []generator.CurrencyRow
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Log: slog.New(slog.DiscardHandler), Subscriptions: outbox.Subscriptions{
		events.SpendRequestedV1: {"adjust"}, events.SpendChargedV1: {"fulfil"}, events.SpendRefundingV1: {"compensate"},
	}})
	t.Cleanup(committer.Close)
	d := &desk{t: t, db: db, committer: committer}
	// Before everything and after everything something is booked, as ever.
	d.book("ann", "vc_tx_first", "GRANT", 1, noon.Add(-time.Hour))
	d.book("ann", "vc_tx_last", "GRANT", 1, noon.Add(24*time.Hour))
	return d
}

// book makes the provider book a change.
func (d *desk) book(player, key, kind string, amount int64, at time.Time) {
	d.rows = append(d.rows, generator.CurrencyRow{
		OriginalUser: player, LastUser: player, Type: kind, Currency: "GEM", Amount: amount, Balance: 100, At: at, UpdatedAt: at, IdempotencyKey: key,
	})
}

// call writes a spend of 50 with its call in a state, and returns the spend's id. A
// call of unknown outcome went unanswered, and the provider has seen its key.
func (d *desk) call(player, state string, at time.Time) string {
	d.t.Helper()
	id, call := outbox.NewID(), outbox.NewID()
	unknown := state == "unknown"
	d.exec(`INSERT INTO adjustments (id, leased_until, opened_at, settled_at, unknown_since, conflict_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas, attempts)
		VALUES ($1, $2::timestamptz, $2, CASE WHEN $3::boolean THEN NULL ELSE $2 END, CASE WHEN $3 THEN $2 END, CASE WHEN $3 THEN $2 END, $1, $4, 'charge', $5, $6, '{}', '', '{"GEM": -50}', 7)`,
		call, at, unknown, player, state, id+":charge")
	d.exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, unknown_since, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
		VALUES ($1::uuid, 1, 1, $2::timestamptz, CASE WHEN $3::boolean THEN NULL ELSE $2 END, CASE WHEN $3 THEN $2 END, $4, $1, $5, $1::text, 'hat', CASE WHEN $3 THEN 'requested' ELSE 'fulfilled' END, CASE WHEN $3 THEN NULL ELSE 'charged' END, '{"GEM": 50}')`,
		id, at, unknown, call, player)
	return id
}

func (d *desk) exec(query string, args ...any) {
	d.t.Helper()
	_, err := d.db.ExecContext(d.t.Context(), query, args...)
	require.NoError(d.t, err)
}

// Settle implements currencyfeed.Settler as the command does.
func (d *desk) Settle(ctx context.Context, spendID string, attempt int64, applied bool, evidence string) error {
	spend, err := books.New(d.db).Spend(ctx, spendID)
	if err != nil {
		return err
	}
	_, err = adjustments.Decide(ctx, adjustments.Store{DB: d.db}, d.committer, spend,
		adjustments.Decision{Attempt: attempt, Applied: applied, Reason: evidence, By: "the currency feed"}, time.Now())
	return err
}

// write writes the feed as a snapshot below a folder.
func (d *desk) write(dir, date string) []exports.File {
	d.t.Helper()
	folder := filepath.Join(dir, "virtual_currency", date)
	require.NoError(d.t, os.MkdirAll(folder, 0o755))
	file, err := os.Create(filepath.Join(folder, "virtual_currency_"+date+".csv.gz"))
	require.NoError(d.t, err)
	require.NoError(d.t, generator.WriteCurrencyRows(file, generator.Options{Format: generator.Gzip}, d.rows))
	require.NoError(d.t, file.Close())
	listing, err := exports.Find(d.t.Context(), []string{dir}, exports.Currency)
	require.NoError(d.t, err)
	return listing.Files
}

func (d *desk) run(c currencyfeed.Config) currencyfeed.Report {
	d.t.Helper()
	c.DB, c.Settler, c.Again = d.db, d, time.Millisecond
	r, err := currencyfeed.Run(d.t.Context(), c, d.write(d.t.TempDir(), "2026-10-02"))
	require.NoError(d.t, err)
	return r
}

func (d *desk) spend(id string) economy.Spend {
	d.t.Helper()
	spend, err := books.New(d.db).Spend(d.t.Context(), id)
	require.NoError(d.t, err)
	return spend
}

// TestLostChargesAreSettledByTheFeed: two spends whose charge was not answered, and
// whose keys are answered 409 since. The feed has the one and lacks the other; no
// operator says a word. A second run finds nothing to do.
func TestLostChargesAreSettledByTheFeed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	usual, charged, not := d.call("ann", "applied", noon), d.call("bob", "unknown", noon), d.call("cid", "unknown", noon)
	d.book("ann", usual+":charge", "DEDUCTION", -50, noon)
	d.book("bob", charged+":charge", "DEDUCTION", -30, noon) // from one lot, and from another
	d.book("bob", charged+":charge", "DEDUCTION", -20, noon)

	r := d.run(currencyfeed.Config{DryRun: true})
	require.Len(t, r.Settled, 2)
	require.Equal(t, economy.Requested, d.spend(charged).State, "a dry run changes nothing")
	r = d.run(currencyfeed.Config{})
	require.Len(t, r.Settled, 2)
	require.Empty(t, r.Unsettled)
	require.False(t, r.Wrong())
	require.EqualValues(t, 2, r.Nobodys)
	require.Equal(t, economy.Charged, d.spend(charged).State)
	require.Equal(t, economy.Declined, d.spend(not).State)
	require.Equal(t, economy.Cancelled, d.spend(not).Reason)
	var charges int64
	require.NoError(t, d.db.Get(&charges, "SELECT sum(amount) FROM ledger_entries"))
	require.EqualValues(t, 50, charges)
	var evidence []string
	require.NoError(t, d.db.Select(&evidence, "SELECT last_error FROM adjustments WHERE last_error <> '' ORDER BY app_user_id"))
	require.Regexp(t, `^settled by the currency feed as applied: currency feed row, line \d+ of virtual_currency_2026-10-02.csv.gz: -50 GEM`, evidence[0])
	require.Contains(t, evidence[1], "settled by the currency feed as not applied: currency feed row: there is none under key "+not+":charge")
	r = d.run(currencyfeed.Config{})
	require.Empty(t, r.Settled)
	require.EqualValues(t, 2, r.Ours)
}

// TestWhatTheFeedDoesNotProveStaysUnsettled: a feed that lacks a key proves nothing when
// it ends too early, begins too late, is not whole, has rows that cannot be read, tells
// no key of ours, or when the key may still be applied; and one whose sum is another
// proves nothing either.
func TestWhatTheFeedDoesNotProveStaysUnsettled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(d *desk, usual, lost string)
		why    string
	}{
		"too early": {func(d *desk, _, _ string) {
			d.exec("UPDATE adjustments SET conflict_at = $1 WHERE conflict_at IS NOT NULL", noon.Add(24*time.Hour))
		}, "too early"},
		"too late": {func(d *desk, _, _ string) {
			d.exec("UPDATE adjustments SET opened_at = $1 WHERE conflict_at IS NOT NULL", noon.Add(-24*time.Hour))
		}, "after the call"},
		"no 409":    {func(d *desk, _, _ string) { d.exec("UPDATE adjustments SET conflict_at = NULL") }, "may still be applied"},
		"not whole": {func(d *desk, _, _ string) { d.call("dan", "applied", noon) }, "it is not whole"},
		"rows unread": {func(d *desk, _, lost string) {
			d.rows = append(d.rows, generator.CurrencyRow{OriginalUser: "bob", Type: "DEDUCTION", Currency: "no currency", Amount: -50, At: noon, IdempotencyKey: lost + ":charge"})
		}, "1 rows of it could not be read"},
		"other keys": {func(d *desk, _, _ string) {
			d.rows = d.rows[:2]
			d.exec("DELETE FROM spends WHERE app_user_id = 'ann'")
			d.exec("DELETE FROM adjustments WHERE app_user_id = 'ann'")
		}, "no key of ours at all"},
		"another sum": {func(d *desk, _, lost string) { d.book("bob", lost+":charge", "DEDUCTION", -49, noon) }, "but the call is for"},
		"in hand by us": {func(d *desk, _, lost string) {
			d.book("bob", lost+":charge", "DEDUCTION", -50, noon)
			d.exec("UPDATE adjustments SET leased_by = 'worker', leased_until = now() + interval '1 hour' WHERE state = 'unknown'")
		}, "right now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			usual, lost := d.call("ann", "applied", noon), d.call("bob", "unknown", noon)
			d.book("ann", usual+":charge", "DEDUCTION", -50, noon)
			test.change(d, usual, lost)
			r := d.run(currencyfeed.Config{})
			require.Empty(t, r.Settled)
			require.Len(t, r.Unsettled, 1)
			require.Contains(t, r.Unsettled[0].Evidence, test.why)
			require.Equal(t, economy.Requested, d.spend(lost).State)
		})
	}
}

// TestTheFeedTellsWhatTheLedgersDoNotShare: changes that are nobody's, ours that it
// lacks, ours with another sum, and one that we hold for refused.
func TestTheFeedTellsWhatTheLedgersDoNotShare(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	less, lacks, refused := d.call("ann", "applied", noon), d.call("bob", "applied", noon), d.call("cid", "applied", noon)
	d.exec("UPDATE adjustments SET state = 'refused' WHERE app_user_id = 'cid'")
	d.book("ann", less+":charge", "DEDUCTION", -49, noon)
	d.book("cid", refused+":charge", "DEDUCTION", -50, noon)
	d.book("dan", "vc_tx_thief", "DEDUCTION", -500, noon)
	d.book("eve", "vc_tx_told", "GRANT", 25, noon)
	d.exec(`INSERT INTO provider_movements (amount, moved_at, entered_at, movement_id, app_user_id, kind, currency, debit, credit, environment, source)
		VALUES (25, $1, $1, 'another-id', 'eve', 'provider_credit', 'GEM', 'issuance', 'wallet', 'production', 'admin_api')`, noon.Add(time.Minute))
	var missed []string
	r := d.run(currencyfeed.Config{Missed: func(c currencyfeed.Change) error { missed = append(missed, c.Key); return nil }})
	require.True(t, r.Wrong())
	require.Equal(t, []string{"vc_tx_first", "vc_tx_thief", "vc_tx_last"}, missed)
	require.EqualValues(t, 1, r.Known)
	require.EqualValues(t, 0, r.Ours)
	require.Len(t, r.Differs, 2)
	for _, change := range r.Differs {
		require.Contains(t, []string{less + ":charge", refused + ":charge"}, change.Key)
		require.Contains(t, []int64{-50, 0}, change.Ours)
	}
	require.Len(t, r.Lacks, 1)
	require.Equal(t, lacks+":charge", r.Lacks[0].Key)
}

// TestMissedMovementsAreRecordedOnce: those of the provider; deductions of nobody and
// what is too young stay for a person, and for a webhook.
func TestMissedMovementsAreRecordedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.book("dan", "vc_tx_thief", "DEDUCTION", -500, noon)
	d.rows = append(d.rows, generator.CurrencyRow{
		OriginalUser: "fay", LastUser: "fay", Type: "PURCHASE", Currency: "GEM", Amount: 550, Balance: 550, At: noon, IdempotencyKey: "vc_tx_bought",
		Store: "app_store", TransactionID: "t1", Product: "gems_550",
	})
	require.Zero(t, d.run(currencyfeed.Config{Record: true, DryRun: true}).Recorded)
	require.EqualValues(t, 2, d.run(currencyfeed.Config{Record: true}).Recorded)
	r := d.run(currencyfeed.Config{Record: true})
	require.Zero(t, r.Recorded)
	require.EqualValues(t, 2, r.Known)
	var lines []string
	require.NoError(t, d.db.Select(&lines, "SELECT concat_ws(' ', app_user_id, kind, debit, credit, amount, source, environment, transaction_id) FROM provider_movements ORDER BY 1"))
	require.Equal(t, []string{"ann provider_credit issuance wallet 1 grant production", "fay store_credit store wallet 550 in_app_purchase production t1"},
		trimmed(lines))
}

func trimmed(lines []string) []string {
	for i, line := range lines {
		for len(line) > 0 && line[len(line)-1] == ' ' {
			line = line[:len(line)-1]
		}
		lines[i] = line
	}
	return lines
}

// TestOnlyTheNewestSnapshotIsRead: each is whole, and two would count everything twice.
func TestOnlyTheNewestSnapshotIsRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	dir := t.TempDir()
	d.write(dir, "2026-10-01")
	files := d.write(dir, "2026-10-02")
	require.Len(t, files, 2)
	newest, left := currencyfeed.Newest(files)
	require.Equal(t, 1, left)
	require.Len(t, newest, 1)
	require.Equal(t, "2026-10-02", newest[0].Date)
	split := []exports.File{{URL: "s3://b/virtual_currency/2026-10-02/virtual_currency_1/part-0.parquet"}, {URL: "s3://b/virtual_currency/2026-10-02/virtual_currency_1/part-1.parquet"}}
	newest, left = currencyfeed.Newest(split)
	require.Zero(t, left)
	require.Len(t, newest, 2)
}

// TestAFeedCutOffSettlesNothing: a snapshot that cannot be read to its end is no proof.
func TestAFeedCutOffSettlesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	lost := d.call("bob", "unknown", noon)
	d.book("bob", lost+":charge", "DEDUCTION", -50, noon)
	files := d.write(t.TempDir(), "2026-10-02")
	raw, err := os.ReadFile(files[0].URL)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[0].URL, raw[:len(raw)-12], 0o600))
	_, err = currencyfeed.Run(t.Context(), currencyfeed.Config{DB: d.db, Settler: d}, files)
	require.Error(t, err)
	require.Equal(t, economy.Requested, d.spend(lost).State)
}
