package purchases

import (
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// aliasRow links two App User IDs.
type aliasRow struct {
	id, of, source string
	at             time.Time
}

// Aliases returns the rows that link ids of one customer, which source said.
// Linking again changes nothing, and the order of links never matters.
func Aliases(appUserIDs []string, source string, at time.Time) []outbox.Row {
	var rows []outbox.Row
	for _, link := range links(appUserIDs) {
		rows = append(rows, aliasRow{link[0], link[1], source, at})
	}
	return rows
}

// links returns the links that make one customer of ids: each to the first of all.
func links(appUserIDs []string) []link {
	ids := slices.Compact(slices.Sorted(slices.Values(appUserIDs)))
	var out []link
	for _, id := range ids[min(1, len(ids)):] {
		out = append(out, link{id, ids[0]})
	}
	return out
}

var aliasKind = &outbox.Kind{
	Name: "customer_alias",
	Columns: []outbox.Column{
		{Name: "app_user_id", Type: "text"}, {Name: "alias_of", Type: "text"}, {Name: "source", Type: "text"}, {Name: "linked_at", Type: "timestamptz"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO customer_aliases (app_user_id, alias_of, source, linked_at)
		SELECT r.app_user_id, r.alias_of, r.source, r.linked_at FROM {rows} r ORDER BY 1, 2 ON CONFLICT DO NOTHING`}},
}

func (r aliasRow) Kind() *outbox.Kind { return aliasKind }

func (r aliasRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.id)
	c.Text(r.of)
	c.Text(r.source)
	c.Time(r.at)
}

// transferRow is one id of one side of a transfer.
type transferRow struct {
	transfer economy.Transfer
	side, id string
}

// Transfer returns the rows of a transfer. Writing it again changes nothing.
func Transfer(t economy.Transfer) []outbox.Row {
	var rows []outbox.Row
	for _, id := range t.From {
		rows = append(rows, transferRow{t, "from", id})
	}
	for _, id := range t.To {
		rows = append(rows, transferRow{t, "to", id})
	}
	return rows
}

var transferKind = &outbox.Kind{
	Name: "customer_transfer",
	Columns: []outbox.Column{
		{Name: "transfer_id", Type: "text"}, {Name: "side", Type: "text"}, {Name: "app_user_id", Type: "text"},
		{Name: "transferred_at", Type: "timestamptz"}, {Name: "store", Type: "text"}, {Name: "environment", Type: "text"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO customer_transfers (transfer_id, side, app_user_id, transferred_at, store, environment)
		SELECT r.transfer_id, r.side, r.app_user_id, r.transferred_at, r.store, r.environment FROM {rows} r ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING`}},
}

func (r transferRow) Kind() *outbox.Kind { return transferKind }

func (r transferRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.transfer.ID)
	c.Text(r.side)
	c.Text(r.id)
	c.Time(r.transfer.At)
	c.Text(string(r.transfer.Store))
	c.Text(string(r.transfer.Environment))
}
