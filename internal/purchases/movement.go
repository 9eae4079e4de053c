package purchases

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// movementRow is a ledger line of a movement that the provider made.
type movementRow struct {
	entry economy.MovementEntry
	at    time.Time
}

// Movements returns the ledger lines of a movement. However often it is written,
// each is there once; the first word on it stays.
func Movements(m economy.Movement, at time.Time) []outbox.Row {
	var rows []outbox.Row
	for _, entry := range m.Entries() {
		rows = append(rows, movementRow{entry, at})
	}
	return rows
}

var movementKind = &outbox.Kind{
	Name: "provider_movement",
	Columns: []outbox.Column{
		{Name: "movement_id", Type: "text"}, {Name: "currency", Type: "text"}, {Name: "amount", Type: "bigint"}, {Name: "moved_at", Type: "timestamptz"},
		{Name: "entered_at", Type: "timestamptz"}, {Name: "app_user_id", Type: "text"}, {Name: "kind", Type: "text"}, {Name: "debit", Type: "text"},
		{Name: "credit", Type: "text"}, {Name: "environment", Type: "text"}, {Name: "source", Type: "text"}, {Name: "store", Type: "text"},
		{Name: "product_id", Type: "text"}, {Name: "transaction_id", Type: "text"}, {Name: "adjustment_id", Type: "uuid"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO provider_movements (movement_id, currency, amount, moved_at, entered_at, app_user_id, kind, debit, credit,
			environment, source, store, product_id, transaction_id, adjustment_id)
		SELECT r.movement_id, r.currency, r.amount, r.moved_at, r.entered_at, r.app_user_id, r.kind, r.debit, r.credit,
			r.environment, r.source, r.store, r.product_id, r.transaction_id, r.adjustment_id
		FROM {rows} r ORDER BY r.movement_id, r.currency ON CONFLICT DO NOTHING`}},
}

func (r movementRow) Kind() *outbox.Kind { return movementKind }

func (r movementRow) AppendTo(c *outbox.Columns, _ string) {
	e, m := r.entry, r.entry.Movement
	c.Text(m.ID)
	c.Text(string(e.Currency))
	c.Int(int64(e.Amount))
	c.Time(m.At)
	c.Time(r.at)
	c.Text(m.AppUserID)
	c.Text(string(e.Kind))
	c.Text(string(e.Debit))
	c.Text(string(e.Credit))
	c.Text(string(m.Environment))
	c.Text(m.Source)
	c.Text(string(m.Store))
	c.Text(m.ProductID)
	c.Text(m.TransactionID)
	c.TextOrNull(m.AdjustmentID)
}
