package purchases

import (
	"github.com/sluice-gems/sluice/outbox"
)

// taken is Merged and Folded in one: nobody changed the purchase's row, nor folded
// its customer, since both were read. The customer's row goes first. When only the
// purchase has moved on, nothing but the version of the customer grows, as by a fold
// that found nothing new.
type taken struct {
	Merged
	Folded

	catalogVersion int64 // which says what the purchase brings, when no version did so far; 0: none does
}

var takenKind = &outbox.Kind{
	Name: "purchase_taken",
	Columns: append(append([]outbox.Column{}, mergedKind.Columns...),
		outbox.Column{Name: "catalog_version", Type: "bigint"}, outbox.Column{Name: "customer_id", Type: "text"},
		outbox.Column{Name: "customer_version", Type: "bigint"}, outbox.Column{Name: "folded_at", Type: "timestamptz"},
		outbox.Column{Name: "absorb", Type: "jsonb"},
	),
	Steps: append(foldSteps("customer_version"),
		outbox.Step{Name: "merge", SQL: `INSERT INTO purchases AS p (transaction_id, store, environment, recorded_at, catalog_version, ` + names("") + `)
			SELECT r.transaction_id, r.store, r.environment, r.recorded_at, r.catalog_version, ` + names("r.") + ` FROM {rows} r
			WHERE (r.customer_id IN (SELECT customer_id FROM {fold})) IS TRUE
			ORDER BY r.transaction_id, r.store, r.environment
			ON CONFLICT (transaction_id, store, environment) DO UPDATE SET (catalog_version, ` + names("") + `) =
				ROW(CASE p.catalog_version WHEN 0 THEN excluded.catalog_version ELSE p.catalog_version END, ` + names("excluded.") + `)
			WHERE p.version = excluded.version - 1
			RETURNING transaction_id, store, environment`},
		outbox.Step{Name: "effects", SQL: `SELECT r.effect FROM {rows} r
			WHERE ((r.transaction_id, r.store, r.environment) IN (SELECT transaction_id, store, environment FROM {merge})) IS TRUE`},
	),
	Judge: mergedKind.Judge,
}

// Kind implements outbox.Row.
func (t taken) Kind() *outbox.Kind { return takenKind }

// AppendTo implements outbox.Row.
func (t taken) AppendTo(c *outbox.Columns, effect string) {
	t.Merged.AppendTo(c, effect)
	c.Int(t.catalogVersion)
	c.Text(t.CustomerID)
	c.Int(t.Folded.KnownVersion + 1)
	c.Time(t.At)
	c.JSON(absorbJSON(t.absorb))
}

// GuardKey implements outbox.GuardRow. The Effects touch the purchase's key, too.
func (t taken) GuardKey() string { return t.Folded.GuardKey() }
