package purchases

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// writeVersions writes statements down. What changes a purchase was never merged, so it is
// not there yet, and goes by COPY. It is there where two statements share a stamp, and the
// first statement where a Recorder wrote it down at once: whoever met that once expects it.
func (b *Bulk) writeVersions(ctx context.Context, tx *sqlx.Tx, plan *Plan) error {
	doubtful := plan.noted
	if b.wary {
		doubtful = slices.Concat(plan.news, plan.noted)
		sortVersions(doubtful)
	} else {
		for i := range plan.news {
			b.appendVersion(&plan.news[i].fact, plan.news[i].at)
		}
	}
	if err := postgres.Copy(ctx, b.conn, "purchase_versions", bulkVersionColumns, &b.rows.versions); err != nil {
		b.wary = b.wary || postgres.Code(err) == uniqueViolation
		return err
	}
	return insertVersions(ctx, tx, doubtful)
}

// insertVersions writes statements down that may be there already.
func insertVersions(ctx context.Context, tx *sqlx.Tx, list []versionRow) error {
	if len(list) == 0 {
		return nil
	}
	columns := make([][]string, len(versionKind.Columns))
	for i := range list {
		for j, value := range versionValues(&list[i]) {
			columns[j] = append(columns[j], value)
		}
	}
	args, params := make([]any, len(columns)), make([]string, len(columns))
	for i, column := range versionKind.Columns {
		args[i], params[i] = postgres.Array(columns[i]), fmt.Sprintf("$%d::text[]", i+1)
		columns[i] = []string{"r." + column.Name + "::" + column.Type}
	}
	names := bulkVersionColumns
	_, err := tx.ExecContext(ctx, `INSERT INTO purchase_versions (`+strings.Join(names, ", ")+`)
		SELECT `+strings.Join(slices.Concat(columns...), ", ")+` FROM unnest(`+strings.Join(params, ", ")+`) AS r(`+strings.Join(names, ", ")+`)
		ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return fmt.Errorf("keep statements: %w", err)
	}
	return nil
}

// versionValues are a statement's values in the order of versionKind's columns.
func versionValues(r *versionRow) [9]string {
	f := &r.fact
	at := func(t time.Time) string { return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano) }
	return [...]string{
		f.Key.TransactionID, string(f.Key.Store), string(f.Key.Environment), string(f.Source), f.By, at(f.At), at(r.at),
		strconv.Itoa(int(f.Kind)), string(appendFact(nil, f)),
	}
}

// appendVersion writes a statement in the order of versionKind's columns.
func (b *Bulk) appendVersion(f *economy.PurchaseFact, at time.Time) {
	c := &b.rows.versions
	b.fact = appendFact(b.fact[:0], f)
	appendCopiedKey(c, f.Key)
	c.Text(string(f.Source))
	c.Text(f.By)
	c.Time(f.At)
	c.Time(at)
	c.Int(int64(f.Kind))
	c.JSON(b.fact)
	c.End()
}
