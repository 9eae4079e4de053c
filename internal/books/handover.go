package books

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// SettleHandOver is the guard of what was found out about an item that another
// server hands over: the spend is still in the state the step leaves, and nobody has
// settled before that its item was taken back. Otherwise it is stale.
type SettleHandOver struct {
	economy.Change
	Note string // an operator's words; empty: the server itself said it
}

var settleHandOverKind = &outbox.Kind{
	Name:    "spend_settle_hand_over",
	Columns: append(moveColumns[:len(moveColumns):len(moveColumns)], outbox.Column{Name: "revoked_at", Type: "timestamptz"}, outbox.Column{Name: "note", Type: "text"}),
	Steps: []outbox.Step{
		{Name: "lock", SQL: `SELECT s.id FROM spends s JOIN {rows} r ON r.id = s.id ORDER BY s.id FOR UPDATE OF s`},
		{Name: "update", SQL: setMoved + `, held = s.held AND r.state <> 'fulfilled', revoked_at = r.revoked_at, note = CASE WHEN r.note = '' THEN s.note ELSE r.note END FROM {rows} r
			WHERE s.id = r.id AND (r.id IN (SELECT id FROM {lock})) IS TRUE AND s.state = r.from_state AND s.revoked_at IS NULL RETURNING r.effect`},
	},
	Judge: moveKind.Judge,
}

// Kind implements outbox.Row.
func (s SettleHandOver) Kind() *outbox.Kind { return settleHandOverKind }

// AppendTo implements outbox.Row.
func (s SettleHandOver) AppendTo(c *outbox.Columns, effect string) {
	Move{s.Change}.AppendTo(c, effect)
	c.Time(s.Spend.RevokedAt)
	c.Text(s.Note)
}

// GuardKey implements outbox.GuardRow.
func (s SettleHandOver) GuardKey() string { return SpendKey(s.Spend.ID) }

// Undelivered is how many spends of an item wait for their item, or for its being
// taken back.
type Undelivered struct {
	CatalogVersion int64         `db:"catalog_version"`
	Item           string        `db:"item"`
	State          economy.State `db:"state"` // Charged or Refunding
	Spends         int64         `db:"spends"`
	Oldest         time.Time     `db:"oldest"` // when the oldest of them was charged
}

// Undelivered counts the spends between charge and end, by item. It reads open
// spends only.
func (b *Books) Undelivered(ctx context.Context) ([]Undelivered, error) {
	var list []Undelivered
	err := b.db.SelectContext(ctx, &list, `SELECT catalog_version, item, state, count(*) AS spends, min(charged_at) AS oldest
		FROM spends WHERE finished_at IS NULL AND state IN ('charged', 'refunding') AND revoked_at IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, fmt.Errorf("read undelivered spends: %w", err)
	}
	return list, nil
}

// UndeliveredOf returns the oldest spends that wait, at most limit, of those items that
// Undelivered has counted.
func (b *Books) UndeliveredOf(ctx context.Context, items []Undelivered, limit int) ([]economy.Spend, error) {
	versions, names := make([]int64, len(items)), make([]string, len(items))
	for i, u := range items {
		versions[i], names[i] = u.CatalogVersion, u.Item
	}
	return b.many(ctx, "SELECT "+SpendColumns+` FROM spends WHERE finished_at IS NULL AND state IN ('charged', 'refunding') AND revoked_at IS NULL
		AND (catalog_version, item) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) ORDER BY charged_at LIMIT $3`,
		postgres.Array(versions), postgres.Array(names), limit)
}
