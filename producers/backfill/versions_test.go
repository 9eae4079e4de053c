package backfill_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// What template 3 cannot tell is left out: as of when a row tells, what was paid before a
// refund, and that a refund was taken back.
const (
	toldByTemplate3 = `SELECT 'purchase ' || p.transaction_id || ' ' || (to_jsonb(p) - 'change_id' - 'stamps' - 'version' - 'paid_micros' - 'paid_usd_micros' - 'paid_currency')::text AS line
			FROM purchases p
		UNION ALL SELECT 'alias ' || to_jsonb(a)::text FROM customer_aliases a
		UNION ALL SELECT concat_ws(' ', 'told', consumer, lane, player, store, environment, transaction_id) FROM ` + named + ` n
			GROUP BY consumer, lane, player, store, environment, transaction_id`
	refundsTakenBack = `SELECT 'purchase ' || p.transaction_id || ' ' AS line FROM purchases p WHERE refunded_at IS NULL AND EXISTS (SELECT FROM purchase_versions v
		WHERE v.transaction_id = p.transaction_id AND v.store = p.store AND v.environment = p.environment AND v.fact -> 'Refund' ->> 'At' NOT LIKE '0001-%')`
)

func TestAnExportOfEveryVersionEndsAsOneOfTheNewest(t *testing.T) {
	t.Parallel()
	mixed := generator.Mixed(generator.Options{Seed: 5, Rows: 6000, Players: 300})
	newest := slices.Clone(mixed)
	for i := range newest {
		newest[i].Version, newest[i].Columns, newest[i].Delimiter = generator.NewestVersion, nil, 0
	}
	t.Run("templates 4 to 7 and chosen columns, to the last word", func(t *testing.T) {
		t.Parallel()
		var want, got []string
		t.Run("newest", func(t *testing.T) { want = whole(t, taken(t, newest[1:])) })
		t.Run("mixed", func(t *testing.T) { got = whole(t, taken(t, mixed[1:])) })
		requireSame(t, want, got)
	})
	t.Run("template 3, but for what it cannot tell", func(t *testing.T) {
		t.Parallel()
		var want, got, takenBack []string
		t.Run("newest", func(t *testing.T) {
			db := taken(t, newest[:1])
			want, takenBack = lines(t, db, toldByTemplate3), lines(t, db, refundsTakenBack)
		})
		t.Run("mixed", func(t *testing.T) { got = lines(t, taken(t, mixed[:1]), toldByTemplate3) })
		require.NotEmpty(t, takenBack)
		isTakenBack := func(line string) bool {
			return slices.ContainsFunc(takenBack, func(purchase string) bool { return strings.HasPrefix(line, purchase) })
		}
		requireSame(t, slices.DeleteFunc(want, isTakenBack), slices.DeleteFunc(got, isTakenBack))
	})
}

// taken writes an export of files, and is the database that has taken them, every row.
func taken(t *testing.T, files []generator.Options) *sqlx.DB {
	t.Helper()
	dir, rows := t.TempDir(), int64(0)
	for i, file := range files {
		export(t, dir, fmt.Sprintf("2026-10-2%d/transactions.csv", i), file)
		rows += file.Rows
	}
	db := testenv.Postgres(t)
	run, err := runFiles(t.Context(), newEngine(db), dir)
	require.NoError(t, err)
	c := run.Counts
	require.Equal(t, backfill.Counts{New: c.New, Changed: c.Changed, Same: rows - c.New - c.Changed, Links: c.Links, Bytes: c.Bytes}, c, "none is rejected")
	return db
}
