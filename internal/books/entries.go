package books

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// entryRow is a ledger line.
type entryRow struct {
	economy.Entry
	at time.Time
}

var entryKind = &outbox.Kind{
	Name: "ledger_entry",
	Columns: []outbox.Column{
		{Name: "spend_id", Type: "uuid"}, {Name: "amount", Type: "bigint"}, {Name: "entered_at", Type: "timestamptz"},
		{Name: "app_user_id", Type: "text"}, {Name: "kind", Type: "text"}, {Name: "currency", Type: "text"},
		{Name: "debit", Type: "text"}, {Name: "credit", Type: "text"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
		SELECT r.spend_id, r.amount, r.entered_at, r.app_user_id, r.kind, r.currency, r.debit, r.credit
		FROM {rows} r`}},
}

func (r entryRow) Kind() *outbox.Kind { return entryKind }

func (r entryRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.SpendID)
	c.Int(int64(r.Amount))
	c.Time(r.at)
	c.Text(r.AppUserID)
	c.Text(string(r.Entry.Kind))
	c.Text(string(r.Currency))
	c.Text(string(r.Debit))
	c.Text(string(r.Credit))
}

// grantRow is an item handed into our own inventory.
type grantRow struct {
	economy.Grant
	at time.Time
}

var grantKind = &outbox.Kind{
	Name: "inventory_grant",
	Columns: []outbox.Column{
		{Name: "spend_id", Type: "uuid"}, {Name: "quantity", Type: "bigint"}, {Name: "granted_at", Type: "timestamptz"},
		{Name: "app_user_id", Type: "text"}, {Name: "item", Type: "text"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item)
		SELECT r.spend_id, r.quantity, r.granted_at, r.app_user_id, r.item FROM {rows} r`}},
}

func (r grantRow) Kind() *outbox.Kind { return grantKind }

func (r grantRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.SpendID)
	c.Int(r.Quantity)
	c.Time(r.at)
	c.Text(r.AppUserID)
	c.Text(r.Item)
}
