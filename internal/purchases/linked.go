package purchases

import (
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// Link says that two App User IDs are one customer, as customer_aliases keeps it.
type Link struct{ ID, Of string }

// LinksOf returns the links that make one customer of ids.
func LinksOf(appUserIDs []string) []Link {
	var out []Link
	for _, l := range links(appUserIDs) {
		out = append(out, Link{l[0], l[1]})
	}
	return out
}

// Linked is the guard of one link that is news: whoever commits it tells of it, see
// LinkedEvent. Results: Applied; Duplicate when the link was there, whoever said so.
type Linked struct {
	Link
	Source string // who says so, as customer_aliases keeps it
	At     time.Time
}

var linkedKind = &outbox.Kind{
	Name:    "customer_linked",
	Columns: aliasKind.Columns,
	Steps: []outbox.Step{
		{Name: "insert", SQL: aliasKind.Steps[0].SQL + ` RETURNING app_user_id, alias_of`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE ((r.app_user_id, r.alias_of) IN (SELECT app_user_id, alias_of FROM {insert})) IS TRUE`},
	},
	Otherwise: outbox.Duplicate,
}

// Kind implements outbox.Row.
func (Linked) Kind() *outbox.Kind { return linkedKind }

// AppendTo implements outbox.Row.
func (l Linked) AppendTo(c *outbox.Columns, effect string) {
	aliasRow{l.ID, l.Of, l.Source, l.At}.AppendTo(c, effect)
}

// GuardKey implements outbox.GuardRow.
func (l Linked) GuardKey() string { return "link:" + l.ID + "\x00" + l.Of }
