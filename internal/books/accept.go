package books

import (
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Accept is the guard that accepts a spend: the player has not used its
// idempotency key, and the item's limit per player has room.
//
// Results: Applied; Duplicate when the key was used before (read the spend to
// tell a repeat from a conflict); Stale when the limit is reached. For a limited
// item its counter must exist, see OpenCounter.
type Accept struct {
	Spend       economy.Spend
	PlayerLimit int64 // 0: none
}

var acceptKind = &outbox.Kind{
	Name: "spend_accept",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "app_user_id", Type: "text"}, {Name: "idempotency_key", Type: "text"},
		{Name: "item", Type: "text"}, {Name: "quantity", Type: "bigint"}, {Name: "cost", Type: "jsonb"},
		{Name: "catalog_version", Type: "bigint"}, {Name: "accepted_at", Type: "timestamptz"},
		{Name: "player_limit", Type: "bigint"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		// The counters of limited items, locked in key order: after waiting for another
		// commit this sees what that one counted.
		{Name: "counter", SQL: `SELECT c.app_user_id, c.item, c.used FROM item_counters c
			JOIN {rows} r ON r.player_limit > 0 AND c.app_user_id = r.app_user_id AND c.item = r.item
			ORDER BY c.app_user_id, c.item FOR UPDATE OF c`},
		{Name: "insert", SQL: `INSERT INTO spends (id, app_user_id, idempotency_key, item, quantity, cost, catalog_version,
				accepted_at, limited, change_id, state)
			SELECT r.id, r.app_user_id, r.idempotency_key, r.item, r.quantity, r.cost, r.catalog_version,
				r.accepted_at, r.player_limit > 0, r.change_id, 'requested'
			FROM {rows} r LEFT JOIN {counter} c ON r.player_limit > 0 AND c.app_user_id = r.app_user_id AND c.item = r.item
			WHERE r.player_limit = 0 OR c.used + r.quantity <= r.player_limit
			ORDER BY r.effect
			ON CONFLICT (app_user_id, idempotency_key) DO NOTHING RETURNING id`},
		{Name: "count", SQL: `UPDATE item_counters c SET used = c.used + r.quantity
			FROM {rows} r WHERE r.player_limit > 0 AND (r.id IN (SELECT id FROM {insert})) IS TRUE AND c.app_user_id = r.app_user_id AND c.item = r.item`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT id FROM {insert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, CASE WHEN s.id = r.id THEN 'applied' ELSE 'duplicate' END FROM {rows} r
		JOIN spends s ON s.app_user_id = r.app_user_id AND s.idempotency_key = r.idempotency_key`,
}

// Kind implements outbox.Row.
func (a Accept) Kind() *outbox.Kind { return acceptKind }

// AppendTo implements outbox.Row.
func (a Accept) AppendTo(c *outbox.Columns, effect string) {
	c.Text(a.Spend.ID)
	c.Text(a.Spend.AppUserID)
	c.Text(a.Spend.IdempotencyKey)
	c.Text(a.Spend.Item)
	c.Int(a.Spend.Quantity)
	c.JSON(EncodeAmounts(a.Spend.Cost))
	c.Int(a.Spend.CatalogVersion)
	c.Time(a.Spend.AcceptedAt)
	c.Int(a.PlayerLimit)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a Accept) GuardKey() string { return "key:" + a.Spend.AppUserID + "/" + a.Spend.IdempotencyKey }

// LimitKey is what two spends of one limited item by one player both touch.
func LimitKey(appUserID, item string) string { return "limit:" + appUserID + "/" + item }

// releaseRow takes a spend's quantity out of the player's count of a limited
// item, because it will not be kept.
type releaseRow struct{ economy.Spend }

var releaseKind = &outbox.Kind{
	Name:    "item_release",
	Columns: []outbox.Column{{Name: "app_user_id", Type: "text"}, {Name: "item", Type: "text"}, {Name: "quantity", Type: "bigint"}},
	Steps: []outbox.Step{{Name: "update", SQL: `UPDATE item_counters c SET used = c.used - r.quantity
		FROM (SELECT app_user_id, item, sum(quantity) AS quantity FROM {rows} GROUP BY 1, 2) r
		WHERE c.app_user_id = r.app_user_id AND c.item = r.item`}},
}

func (r releaseRow) Kind() *outbox.Kind { return releaseKind }

func (r releaseRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.AppUserID)
	c.Text(r.Item)
	c.Int(r.Quantity)
}
