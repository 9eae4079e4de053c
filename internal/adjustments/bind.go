package adjustments

import (
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// Bind is the guard that opens an adjustment: the player has none open, every
// spend of it still waits for exactly this, and those beside it, which its refusal
// would decline, still wait as well. Otherwise it is stale.
type Bind struct {
	Adjustment
	Spends []economy.Spend
	Beside []economy.Spend
	Lease  time.Duration
}

var bindKind = &outbox.Kind{
	Name: "adjustment_bind",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "app_user_id", Type: "text"}, {Name: "purpose", Type: "text"}, {Name: "spend_id", Type: "uuid"},
		{Name: "idempotency_key", Type: "text"}, {Name: "body", Type: "text"}, {Name: "deltas", Type: "jsonb"},
		{Name: "leased_by", Type: "text"}, {Name: "lease_ms", Type: "bigint"}, {Name: "opened_at", Type: "timestamptz"},
		{Name: "spends", Type: "text"}, {Name: "beside", Type: "text"}, {Name: "state", Type: "text"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: `SELECT r.effect, s.state = r.state AND NOT s.held AND (r.purpose = 'refund' OR s.adjustment_id IS NULL) AS waits
			FROM {rows} r CROSS JOIN LATERAL unnest(r.spends::uuid[] || r.beside::uuid[]) AS bound(id) JOIN spends s ON s.id = bound.id
			ORDER BY s.id FOR UPDATE OF s`},
		{Name: "insert", SQL: `INSERT INTO adjustments (id, app_user_id, purpose, spend_id, idempotency_key, body, deltas,
				leased_by, leased_until, opened_at, change_id, nth, state)
			SELECT r.id, r.app_user_id, r.purpose, r.spend_id, r.idempotency_key, r.body, r.deltas,
				r.leased_by, now() + r.lease_ms * interval '1 millisecond', r.opened_at, r.change_id, coalesce(last.nth, 0) + 1, 'open'
			FROM {rows} r LEFT JOIN LATERAL (` + lastOf("r.app_user_id") + `) last ON true
			WHERE last.state IS DISTINCT FROM 'open'
				AND cardinality(r.spends::uuid[] || r.beside::uuid[]) = (SELECT count(*) FROM {lock} l WHERE l.effect = r.effect AND l.waits)
			ON CONFLICT DO NOTHING RETURNING id`},
		{Name: "bind", SQL: `UPDATE spends s SET adjustment_id = r.id
			FROM {rows} r CROSS JOIN LATERAL unnest(r.spends::uuid[]) AS bound(id)
			WHERE r.purpose <> 'refund' AND (r.id IN (SELECT id FROM {insert})) IS TRUE AND s.id = bound.id`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT id FROM {insert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, 'applied' FROM {rows} r JOIN adjustments a ON a.id = r.id WHERE a.change_id = r.change_id AND a.state = 'open'`,
}

// Kind implements outbox.Row.
func (b Bind) Kind() *outbox.Kind { return bindKind }

// AppendTo implements outbox.Row.
func (b Bind) AppendTo(c *outbox.Columns, effect string) {
	c.Text(b.ID)
	c.Text(b.AppUserID)
	c.Text(string(b.Purpose))
	c.TextOrNull(b.SpendID)
	c.Text(b.IdempotencyKey)
	c.Text(b.Body)
	c.JSON(books.EncodeAmounts(b.Deltas))
	c.Text(b.LeasedBy)
	c.Int(b.Lease.Milliseconds())
	c.Time(b.OpenedAt)
	c.Text("{" + strings.Join(ids(b.Spends), ",") + "}")
	c.Text("{" + strings.Join(ids(b.Beside), ",") + "}")
	c.Text(string(b.Spends[0].State))
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (b Bind) GuardKey() string { return books.PlayerKey(b.AppUserID) }
