package books

import (
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Accept is the guard that accepts a spend or a grant: the player has not used
// its idempotency key, does not have too many open already, and the item's limit
// per player has room.
//
// Results: Applied; Duplicate when the key was used before (read the spend to
// tell a repeat from a conflict); Stale when a limit is reached, see Used to tell
// which. For a limited item its counter must exist, see OpenCounter.
//
// OpenMax is exact for what one commit holds. Commits under way at the same time
// do not see each other, so a player can pass it by what the others of them hold.
type Accept struct {
	Spend       economy.Spend
	RequestID   string // of the request that asks for it, for Story; empty: none
	PlayerLimit int64  // 0: none
	OpenMax     int64  // open spends and grants of the player, this one included; 0: no limit
}

var acceptKind = &outbox.Kind{
	Name: "spend_accept",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "app_user_id", Type: "text"}, {Name: "idempotency_key", Type: "text"},
		{Name: "item", Type: "text"}, {Name: "quantity", Type: "bigint"}, {Name: "cost", Type: "jsonb"},
		{Name: "catalog_version", Type: "bigint"}, {Name: "accepted_at", Type: "timestamptz"},
		{Name: "kind", Type: "text"}, {Name: "note", Type: "text"},
		{Name: "player_limit", Type: "bigint"}, {Name: "open_max", Type: "bigint"}, {Name: "change_id", Type: "uuid"},
		{Name: "request_id", Type: "text"},
	},
	Steps: []outbox.Step{
		// Those that still have a place in their player's line: never more are counted
		// than the limit asks for, and what came before in this commit counts as open.
		// The order is that of the index of open spends: it keeps the planner from
		// reading the player's whole past by the index of keys.
		{Name: "room", SQL: `SELECT r.effect FROM (SELECT *, row_number() OVER (PARTITION BY app_user_id ORDER BY effect) AS nth FROM {rows}) r
			WHERE r.open_max = 0 OR r.nth + (SELECT count(*) FROM (SELECT FROM spends s
				WHERE s.app_user_id = r.app_user_id AND s.finished_at IS NULL ORDER BY s.seq LIMIT r.open_max) o) <= r.open_max`},
		// The counters of limited items, locked in key order: after waiting for another
		// commit this sees what that one counted.
		{Name: "counter", SQL: `SELECT c.app_user_id, c.item, c.used FROM item_counters c
			JOIN {rows} r ON r.player_limit > 0 AND c.app_user_id = r.app_user_id AND c.item = r.item
			ORDER BY c.app_user_id, c.item FOR UPDATE OF c`},
		{Name: "insert", SQL: `INSERT INTO spends (id, app_user_id, idempotency_key, item, quantity, cost, catalog_version,
				accepted_at, kind, note, limited, change_id, request_id, state)
			SELECT r.id, r.app_user_id, r.idempotency_key, r.item, r.quantity, r.cost, r.catalog_version,
				r.accepted_at, r.kind, r.note, r.player_limit > 0, r.change_id, nullif(r.request_id, ''), 'requested'
			FROM {rows} r LEFT JOIN {counter} c ON r.player_limit > 0 AND c.app_user_id = r.app_user_id AND c.item = r.item
			WHERE (r.effect IN (SELECT effect FROM {room})) IS TRUE
				AND (r.player_limit = 0 OR c.used + r.quantity <= r.player_limit)
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
	c.Text(a.Spend.Kind.String())
	c.Text(a.Spend.Note)
	c.Int(a.PlayerLimit)
	c.Int(a.OpenMax)
	c.Text(effect)
	c.Text(a.RequestID)
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
