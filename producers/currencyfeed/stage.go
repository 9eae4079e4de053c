package currencyfeed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// stagedColumns are the columns of the rows as they are read.
var stagedColumns = []string{
	"key", "keyed", "currency", "units", "at", "app_user_id", "original_id", "type", "store", "environment", "transaction_id", "product_id", "file", "line",
}

// stage holds one snapshot, in tables that only this connection sees.
const stage = `CREATE TEMP TABLE feed_rows (
		units bigint NOT NULL, at timestamptz NOT NULL, line bigint NOT NULL, keyed boolean NOT NULL, key text NOT NULL, currency text NOT NULL,
		app_user_id text NOT NULL, original_id text NOT NULL, type text NOT NULL, store text NOT NULL, environment text NOT NULL,
		transaction_id text NOT NULL, product_id text NOT NULL, file text NOT NULL) ON COMMIT DROP`

// staged makes one row of a change of one currency: the provider books it once per lot.
const staged = `CREATE TEMP TABLE feed ON COMMIT DROP AS
	SELECT key, currency, bool_or(keyed) AS keyed, sum(units)::bigint AS units, min(at) AS at, min(app_user_id) AS app_user_id, min(original_id) AS original_id,
		min(type) AS type, max(store) AS store, max(environment) AS environment, max(transaction_id) AS transaction_id, max(product_id) AS product_id,
		min(file) AS file, min(line) AS line
	FROM feed_rows GROUP BY key, currency;
	CREATE UNIQUE INDEX ON feed (key, currency);
	ANALYZE feed`

// copyRows is how many rows are sent at once.
const copyRows = 10_000

// Newest returns the files of the newest snapshot, and how many files of older ones
// are left out: every snapshot is whole, so the newest one tells all. A delivery of
// several files is a folder; files of any other name in one folder are one delivery.
func Newest(files []exports.File) (newest []exports.File, left int) {
	last := ""
	for _, file := range files { // by date, then by URL
		last = snapshotOf(file)
	}
	for _, file := range files {
		if snapshotOf(file) == last {
			newest = append(newest, file)
		} else {
			left++
		}
	}
	return newest, left
}

// snapshotOf names the delivery that a file is of.
func snapshotOf(file exports.File) string {
	name, _, _ := strings.Cut(file.URL, "?")
	dir, base := path.Split(name)
	if strings.HasPrefix(base, "virtual_currency_") {
		return name
	}
	return dir
}

// read stages the files. Rows that cannot be read are counted, and told to rejected.
func read(ctx context.Context, conn *sqlx.Conn, files []exports.File, r *Report, rejected func(error)) error {
	for _, file := range files {
		if err := readFile(ctx, conn, file, r, rejected); err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, conn *sqlx.Conn, file exports.File, r *Report, rejected func(error)) (err error) {
	reader, err := exports.OpenCurrency(ctx, file, exports.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	r.Warnings = append(r.Warnings, reader.Warnings()...)
	name, _, _ := strings.Cut(path.Base(file.URL), "?")
	r.Files = append(r.Files, name)
	var rows postgres.CopyRows
	for {
		row, err := reader.Next()
		var one *exports.RowError
		switch {
		case errors.As(err, &one):
			r.Rejected++
			rejected(err)
			continue
		case errors.Is(err, io.EOF):
			return postgres.Copy(ctx, conn, "feed_rows", stagedColumns, &rows)
		case err != nil:
			return err
		}
		r.Rows++
		add(&rows, row, name)
		if rows.Len() == copyRows {
			if err := postgres.Copy(ctx, conn, "feed_rows", stagedColumns, &rows); err != nil {
				return fmt.Errorf("stage %s: %w", name, err)
			}
			rows.Reset()
		}
	}
}

func add(rows *postgres.CopyRows, row exports.CurrencyRow, file string) {
	key := row.IdempotencyKey
	if key == "" {
		key = "row:" + row.LineKey()
	}
	original := row.AppUserID
	for _, id := range row.Aliases {
		if id != row.AppUserID {
			original = id
		}
	}
	rows.Text(key)
	rows.Bool(row.IdempotencyKey != "")
	rows.Text(string(row.Currency))
	rows.Int(int64(row.Amount))
	rows.Time(row.At)
	for _, text := range []string{
		row.AppUserID, original, string(row.Type), string(row.Store), string(row.Environment), row.TransactionID, row.Product, file,
	} {
		rows.Text(text)
	}
	rows.Int(row.Line)
	rows.End()
}
