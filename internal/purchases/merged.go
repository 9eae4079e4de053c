package purchases

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Merged is the guard that writes what is known of a purchase: nobody changed the
// row since it was read.
//
// Results: Applied; Stale when the row has another version by now: read it, merge
// the fact again, see Store.Merge.
type Merged struct {
	Purchase     economy.Purchase
	KnownVersion int64 // of the row that was read; 0: there was none
	RecordedAt   time.Time
}

// mergedColumns are the columns of purchases that a merge writes, beside those
// that never change.
var mergedColumns = []outbox.Column{
	{Name: "purchased_at", Type: "timestamptz"}, {Name: "expires_at", Type: "timestamptz"}, {Name: "grace_until", Type: "timestamptz"},
	{Name: "ended_at", Type: "timestamptz"}, {Name: "refunded_at", Type: "timestamptz"}, {Name: "resumes_at", Type: "timestamptz"},
	{Name: "version", Type: "bigint"}, {Name: "quantity", Type: "bigint"}, {Name: "renewal_number", Type: "bigint"},
	{Name: "paid_micros", Type: "bigint"}, {Name: "paid_usd_micros", Type: "bigint"}, {Name: "change_id", Type: "uuid"},
	{Name: "never_expires", Type: "boolean"}, {Name: "reversed", Type: "boolean"},
	{Name: "app_user_id", Type: "text"}, {Name: "buyer", Type: "text"}, {Name: "product_id", Type: "text"},
	{Name: "original_transaction_id", Type: "text"}, {Name: "ownership", Type: "text"}, {Name: "period", Type: "text"},
	{Name: "paid_currency", Type: "text"}, {Name: "intent", Type: "text"}, {Name: "intent_detail", Type: "text"},
	{Name: "stamps", Type: "json"},
}

var mergedKind = &outbox.Kind{
	Name: "purchase_merged",
	Columns: append([]outbox.Column{
		{Name: "transaction_id", Type: "text"}, {Name: "store", Type: "text"}, {Name: "environment", Type: "text"},
		{Name: "recorded_at", Type: "timestamptz"},
	}, mergedColumns...),
	Steps: []outbox.Step{
		// In key order, so that two commits cannot wait for each other.
		{Name: "upsert", SQL: `INSERT INTO purchases AS p (transaction_id, store, environment, recorded_at, ` + names("") + `)
			SELECT r.transaction_id, r.store, r.environment, r.recorded_at, ` + names("r.") + ` FROM {rows} r
			ORDER BY r.transaction_id, r.store, r.environment
			ON CONFLICT (transaction_id, store, environment) DO UPDATE SET (` + names("") + `) = ROW(` + names("excluded.") + `)
			WHERE p.version = excluded.version - 1
			RETURNING transaction_id, store, environment`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r
			WHERE ((r.transaction_id, r.store, r.environment) IN (SELECT transaction_id, store, environment FROM {upsert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, 'applied' FROM {rows} r
		JOIN purchases p ON p.transaction_id = r.transaction_id AND p.store = r.store AND p.environment = r.environment
		WHERE p.change_id = r.change_id`,
}

// names lists the merged columns, each with a prefix.
func names(prefix string) string {
	list := make([]string, len(mergedColumns))
	for i, column := range mergedColumns {
		list[i] = prefix + column.Name
	}
	return strings.Join(list, ", ")
}

// Kind implements outbox.Row.
func (m Merged) Kind() *outbox.Kind { return mergedKind }

// AppendTo implements outbox.Row.
func (m Merged) AppendTo(c *outbox.Columns, effect string) {
	p := m.Purchase
	appendKey(c, p.Key)
	c.Time(m.RecordedAt)
	for _, at := range []time.Time{
		p.PurchasedAt.Value, p.ExpiresAt.Value, p.GraceUntil.Value, p.EndedAt.Value, p.Refund.Value.At, p.Intent.Value.Resumes,
	} {
		c.Time(at)
	}
	c.Int(m.KnownVersion + 1)
	intOrNull(c, p.Quantity.Value, p.Quantity.Known())
	intOrNull(c, p.Renewal.Value, p.Renewal.Known())
	intOrNull(c, p.Paid.Value.Micros, p.Paid.Known())
	intOrNull(c, p.PaidUSD.Value, p.PaidUSD.Known())
	c.Text(effect)
	c.Bool(p.ExpiresAt.Known() && p.ExpiresAt.Value.IsZero())
	c.Bool(p.Refund.Value.Reversed)
	for _, text := range []string{
		p.Owner.Value, p.Buyer.Value, p.Product.Value, p.Original.Value, string(p.Ownership.Value), string(p.Period.Value),
		p.Paid.Value.Currency, p.Intent.Value.Code, p.Intent.Value.Detail,
	} {
		c.Text(text)
	}
	c.JSON(encodeStamps(&p))
}

// GuardKey implements outbox.GuardRow.
func (m Merged) GuardKey() string { return PurchaseKey(m.Purchase.Key) }

// PurchaseKey is what every step that changes a purchase's row touches.
func PurchaseKey(key economy.PurchaseKey) string {
	return "purchase:" + string(key.Store) + "/" + string(key.Environment) + "/" + key.TransactionID
}

func appendKey(c *outbox.Columns, key economy.PurchaseKey) {
	c.Text(key.TransactionID)
	c.Text(string(key.Store))
	c.Text(string(key.Environment))
}

var keyColumns = []outbox.Column{{Name: "transaction_id", Type: "text"}, {Name: "store", Type: "text"}, {Name: "environment", Type: "text"}}

func withKey(columns ...outbox.Column) []outbox.Column {
	return append(keyColumns[:len(keyColumns):len(keyColumns)], columns...)
}

func intOrNull(c *outbox.Columns, n int64, known bool) {
	if !known {
		c.TextOrNull("")
		return
	}
	c.TextOrNull(strconv.FormatInt(n, 10))
}

// versionRow is one statement about a purchase.
type versionRow struct {
	fact economy.PurchaseFact
	at   time.Time
}

var versionKind = &outbox.Kind{
	Name: "purchase_version",
	Columns: withKey(
		outbox.Column{Name: "source", Type: "text"}, outbox.Column{Name: "said_by", Type: "text"}, outbox.Column{Name: "said_at", Type: "timestamptz"},
		outbox.Column{Name: "recorded_at", Type: "timestamptz"}, outbox.Column{Name: "kind", Type: "smallint"}, outbox.Column{Name: "fact", Type: "json"},
	),
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO purchase_versions (transaction_id, store, environment, source, said_by, said_at, recorded_at, kind, fact)
		SELECT r.transaction_id, r.store, r.environment, r.source, r.said_by, r.said_at, r.recorded_at, r.kind, r.fact FROM {rows} r
		ORDER BY 1, 2, 3, 4, 5, 6 ON CONFLICT DO NOTHING`}},
}

func (r versionRow) Kind() *outbox.Kind { return versionKind }

func (r versionRow) AppendTo(c *outbox.Columns, _ string) {
	appendKey(c, r.fact.Key)
	c.Text(string(r.fact.Source))
	c.Text(r.fact.By)
	c.Time(r.fact.At)
	c.Time(r.at)
	c.Int(int64(r.fact.Kind))
	c.JSON(appendFact(nil, &r.fact))
}

// bindRow fixes which version of the catalogue says what a purchase brings. The
// first one stays.
type bindRow struct {
	key     economy.PurchaseKey
	version int64
}

// Bind returns the row that fixes the catalogue's version of a purchase that has
// none yet. The Effects must touch PurchaseKey.
func Bind(key economy.PurchaseKey, catalogVersion int64) outbox.Row {
	return bindRow{key, catalogVersion}
}

var bindKind = &outbox.Kind{
	Name:    "purchase_bind",
	Columns: withKey(outbox.Column{Name: "catalog_version", Type: "bigint"}),
	Steps: []outbox.Step{
		{Name: "update", SQL: `UPDATE purchases p SET catalog_version = r.catalog_version FROM {rows} r
			WHERE p.transaction_id = r.transaction_id AND p.store = r.store AND p.environment = r.environment AND p.catalog_version = 0`},
		{Name: "known", SQL: `DELETE FROM unknown_purchases u USING {rows} r
			WHERE u.transaction_id = r.transaction_id AND u.store = r.store AND u.environment = r.environment`},
	},
}

func (r bindRow) Kind() *outbox.Kind { return bindKind }

func (r bindRow) AppendTo(c *outbox.Columns, _ string) {
	appendKey(c, r.key)
	c.Int(r.version)
}
