package books

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// AskRevoke is the guard of asking the game's server to take back an item that an
// operator refunds. It writes down that the server was asked, before it is: from then on
// only its answer tells whether the player has the item. It is stale when the item was
// settled, the refund was given up, needs an operator, or is held. It may be committed
// before every request.
type AskRevoke struct {
	SpendID string
	At      time.Time
}

var askRevokeKind = &outbox.Kind{
	Name:    "spend_ask_revoke",
	Columns: []outbox.Column{{Name: "id", Type: "uuid"}, {Name: "at", Type: "timestamptz"}, {Name: "change_id", Type: "uuid"}},
	Steps: []outbox.Step{
		{Name: "lock", SQL: `SELECT s.id FROM spends s JOIN {rows} r ON r.id = s.id ORDER BY s.id FOR UPDATE OF s`},
		{Name: "update", SQL: `UPDATE spends s SET revoke_asked_at = coalesce(s.revoke_asked_at, r.at), change_id = r.change_id FROM {rows} r
			WHERE s.id = r.id AND (r.id IN (SELECT id FROM {lock})) IS TRUE AND s.state = 'refunding' AND s.revoked_at IS NULL
				AND s.needs_operator = '' AND NOT s.held RETURNING r.effect`},
	},
	Judge: moveKind.Judge,
}

// Kind implements outbox.Row.
func (a AskRevoke) Kind() *outbox.Kind { return askRevokeKind }

// AppendTo implements outbox.Row.
func (a AskRevoke) AppendTo(c *outbox.Columns, effect string) {
	c.Text(a.SpendID)
	c.Time(a.At)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a AskRevoke) GuardKey() string { return SpendKey(a.SpendID) }

// RefundGivenUp reports whether an operator gave up a refund of the spend.
func (b *Books) RefundGivenUp(ctx context.Context, spendID string) (bool, error) {
	var given bool
	if err := b.db.GetContext(ctx, &given, "SELECT EXISTS (SELECT FROM ledger_entries WHERE spend_id = $1 AND kind = 'keep')", spendID); err != nil {
		return false, fmt.Errorf("look for a refund that was given up: %w", err)
	}
	return given, nil
}
