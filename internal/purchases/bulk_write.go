package purchases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// besideError is the caller's own error, on its way out of a transaction.
type besideError struct{ err error }

func (e besideError) Error() string { return e.err.Error() }
func (e besideError) Unwrap() error { return e.err }

// bulkRows keeps the memory of rows from one commit to the next.
type bulkRows struct {
	purchases, versions, owed postgres.CopyRows
	changed                   *outbox.Columns
	changes                   int64 // of changed
}

var (
	bulkPurchaseColumns = columnNames(mergedKind.Columns)
	bulkVersionColumns  = columnNames(versionKind.Columns)
	bulkOwedColumns     = []string{"event_id", "consumer", "lane", "subject", "payload"}
)

func columnNames(columns []outbox.Column) []string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	return names
}

// reset begins anew, in the same memory.
func (r *bulkRows) reset() {
	for _, rows := range []*postgres.CopyRows{&r.purchases, &r.versions, &r.owed} {
		rows.Reset()
	}
	if r.changed == nil {
		r.changed = outbox.NewColumns(len(changedColumns))
	}
	r.changed.Reset()
	r.changes = 0
}

// write writes a plan down.
func (b *Bulk) write(ctx context.Context, tx *sqlx.Tx, plan *Plan) error {
	r := &b.rows
	r.reset()
	id, now := outbox.NewID(), b.config.Now()
	for _, c := range plan.Changes {
		if c.New() {
			appendPurchase(&r.purchases, &c.After, c.version+c.steps, now, id)
			if b.marks() {
				r.purchases.Bool(b.usedUp(c))
			}
			r.purchases.End()
		} else {
			b.appendChanged(c, now, id)
		}
		if c.said != nil && (c.steps > 1 || !c.After.Tells()) { // the row tells it, see firstStatement
			b.appendVersion(c.said, now)
		}
		for _, fact := range c.more {
			b.appendVersion(fact, now)
		}
	}
	if err := postgres.Copy(ctx, b.conn, "purchases", b.columns(), &r.purchases); err != nil {
		return err
	}
	if err := b.update(ctx, tx); err != nil {
		return err
	}
	if err := b.writeVersions(ctx, tx, plan); err != nil {
		return err
	}
	linked, err := b.link(ctx, tx, plan)
	if err != nil {
		return err
	}
	if err := b.owe(ctx, slices.Concat(plan.events, b.tellings(id, plan.Changes, linked, now))); err != nil {
		return err
	}
	plan.Owed = r.owed.Len()
	return nil
}

// columns are those of new purchases.
func (b *Bulk) columns() []string {
	if b.marks() {
		return append(slices.Clone(bulkPurchaseColumns), "used_up")
	}
	return bulkPurchaseColumns
}

func (b *Bulk) marks() bool { return !b.config.UsedUpBefore.IsZero() }

// usedUp tells whether the consumables of a purchase were used up: of one that nobody had
// told of, from before the cut-off. What was known has brought what it brings.
func (b *Bulk) usedUp(c *Change) bool {
	bought := c.After.PurchasedAt.Value
	return b.marks() && (c.New() || !c.Before.Confirmed()) && !bought.IsZero() && bought.Before(b.config.UsedUpBefore)
}

// changedColumns are those of purchases on their way into rows that exist.
var changedColumns = append(slices.Clone(mergedKind.Columns), outbox.Column{Name: "used_up", Type: "boolean"}, outbox.Column{Name: "known_version", Type: "bigint"})

// changedRows are they, beside parameters. They go as arrays and not through a temporary
// table: emptying one cuts off its files at each commit, and the commits of players wait
// for that where they share a disk.
var changedRows = func() string {
	params := make([]string, len(changedColumns))
	for i, column := range changedColumns {
		params[i] = fmt.Sprintf("$%d::%s[]", i+1, column.Type)
	}
	return `unnest(` + strings.Join(params, ", ") + `) AS r(` + strings.Join(columnNames(changedColumns), ", ") + `)`
}()

func (b *Bulk) appendChanged(c *Change, now time.Time, id string) {
	Merged{Purchase: c.After, KnownVersion: c.version + c.steps - 1, RecordedAt: now}.AppendTo(b.rows.changed, id)
	b.rows.changed.Bool(b.usedUp(c))
	b.rows.changed.Int(c.version)
	b.rows.changes++
}

// changeQuery changes rows that exist, unless they moved on: in the order of keys, as
// everybody locks them.
var changeQuery = `UPDATE purchases p SET (used_up, ` + names("") + `) = ROW(p.used_up OR r.used_up, ` + names("r.") + `)
	FROM (SELECT * FROM ` + changedRows + ` ORDER BY transaction_id, store, environment) r
	WHERE p.transaction_id = r.transaction_id AND p.store = r.store AND p.environment = r.environment AND p.version = r.known_version`

// update changes the rows that exist, unless one of them moved on.
func (b *Bulk) update(ctx context.Context, tx *sqlx.Tx) error {
	if b.rows.changes == 0 {
		return nil
	}
	result, err := tx.StmtxContext(ctx, b.change).ExecContext(ctx, b.rows.changed.Args(nil)...)
	if err != nil {
		return fmt.Errorf("update purchases: %w", err)
	}
	if updated, err := result.RowsAffected(); err != nil || updated != b.rows.changes {
		return errors.Join(err, errMoved)
	}
	return nil
}

// owe writes the outbox rows of events.
func (b *Bulk) owe(ctx context.Context, list []events.Event) error {
	slices.SortFunc(list, func(a, b events.Event) int { return strings.Compare(a.ID, b.ID) })
	for _, event := range list {
		consumers, ok := b.config.Subscriptions[event.Type]
		if !ok {
			return fmt.Errorf("event %s: no consumer is declared for type %s", event.ID, event.Type)
		}
		payload, err := event.Encode()
		if err != nil {
			return err
		}
		subject := event.Subject()
		for _, consumer := range consumers {
			b.rows.owed.Text(event.ID)
			b.rows.owed.Text(consumer)
			b.rows.owed.Text(string(event.Lane))
			b.rows.owed.Text(subject)
			b.rows.owed.JSON(payload)
			b.rows.owed.End()
		}
	}
	return postgres.Copy(ctx, b.conn, "outbox", bulkOwedColumns, &b.rows.owed)
}

// appendPurchase writes a purchase in the order of mergedKind's columns.
func appendPurchase(c *postgres.CopyRows, p *economy.Purchase, version int64, recordedAt time.Time, changeID string) {
	appendCopiedKey(c, p.Key)
	c.Time(recordedAt)
	for _, at := range [...]time.Time{
		p.PurchasedAt.Value, p.ExpiresAt.Value, p.GraceUntil.Value, p.EndedAt.Value, p.Refund.Value.At, p.Intent.Value.Resumes,
	} {
		c.Time(at)
	}
	c.Int(version)
	copyIntOrNull(c, p.Quantity.Value, p.Quantity.Known())
	copyIntOrNull(c, p.Renewal.Value, p.Renewal.Known())
	copyIntOrNull(c, p.Paid.Value.Micros, p.Paid.Known())
	copyIntOrNull(c, p.PaidUSD.Value, p.PaidUSD.Known())
	c.Text(changeID)
	c.Bool(p.ExpiresAt.Known() && p.ExpiresAt.Value.IsZero())
	c.Bool(p.Refund.Value.Reversed)
	for _, text := range [...]string{
		p.Owner.Value, p.Buyer.Value, p.Product.Value, p.Original.Value, string(p.Ownership.Value), string(p.Period.Value),
		p.Paid.Value.Currency, p.Intent.Value.Code, p.Intent.Value.Detail,
	} {
		c.Text(text)
	}
	c.JSON(encodeStamps(p))
}

func appendCopiedKey(c *postgres.CopyRows, key economy.PurchaseKey) {
	c.Text(key.TransactionID)
	c.Text(string(key.Store))
	c.Text(string(key.Environment))
}

func copyIntOrNull(c *postgres.CopyRows, n int64, known bool) {
	if !known {
		c.Null()
		return
	}
	c.Int(n)
}
