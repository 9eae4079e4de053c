package purchases

import (
	"cmp"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Claimed is the guard that keeps a player's word about a purchase: the player did
// not claim it before. A claim without a state is pending; one of a purchase that is
// known already may be settled from the start, see Store.JudgeClaim.
//
// Results: Applied; Duplicate when the same claim exists, see Store.ClaimOf; Stale
// when PendingMax claims of the player are pending, and this one would be, too. Two
// commits at the same moment do not see each other's claims, so a few more may be.
type Claimed struct {
	economy.Claim
	PendingMax int64 // 0: no limit
}

var claimedKind = &outbox.Kind{
	Name: "claim_made",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "claimed_at", Type: "timestamptz"}, {Name: "app_user_id", Type: "text"}, {Name: "store", Type: "text"},
		{Name: "transaction_id", Type: "text"}, {Name: "product_id", Type: "text"}, {Name: "state", Type: "text"}, {Name: "reason", Type: "text"},
		{Name: "settled_at", Type: "timestamptz"}, {Name: "pending_max", Type: "bigint"},
	},
	Steps: []outbox.Step{
		{Name: "insert", SQL: `INSERT INTO claims (id, claimed_at, app_user_id, store, transaction_id, product_id, state, reason, settled_at)
			SELECT r.id, r.claimed_at, r.app_user_id, r.store, r.transaction_id, r.product_id, r.state, r.reason, r.settled_at
			FROM (SELECT *, row_number() OVER (PARTITION BY app_user_id ORDER BY effect) AS nth FROM {rows}) r
			WHERE r.pending_max = 0 OR r.state <> 'pending' OR r.nth + (SELECT count(*) FROM (SELECT FROM claims c
				WHERE c.app_user_id = r.app_user_id AND c.state = 'pending' LIMIT r.pending_max) p) <= r.pending_max
			ORDER BY r.app_user_id, r.store, r.transaction_id ON CONFLICT DO NOTHING RETURNING id`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT id FROM {insert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, CASE WHEN c.id = r.id THEN 'applied' ELSE 'duplicate' END FROM {rows} r
		JOIN claims c ON c.app_user_id = r.app_user_id AND c.store = r.store AND c.transaction_id = r.transaction_id`,
}

// Kind implements outbox.Row.
func (c Claimed) Kind() *outbox.Kind { return claimedKind }

// AppendTo implements outbox.Row.
func (c Claimed) AppendTo(columns *outbox.Columns, _ string) {
	columns.Text(c.ID)
	columns.Time(c.ClaimedAt)
	columns.Text(c.AppUserID)
	columns.Text(string(c.Store))
	columns.Text(c.TransactionID)
	columns.Text(c.ProductID)
	columns.Text(string(cmp.Or(c.State, economy.ClaimPending)))
	columns.Text(c.Reason)
	columns.Time(c.SettledAt)
	columns.Int(c.PendingMax)
}

// GuardKey implements outbox.GuardRow.
func (c Claimed) GuardKey() string {
	return "claim of:" + c.AppUserID + "/" + string(c.Store) + "/" + c.TransactionID
}

// ClaimKey is what every step that settles a claim touches.
func ClaimKey(claimID string) string { return "claim:" + claimID }

// settleRow settles a claim that is open beside another guard.
type settleRow struct{ economy.Claim }

// Settle returns the row that settles a claim, if it is open still. The Effects
// must touch ClaimKey.
func Settle(c economy.Claim) outbox.Row { return settleRow{c} }

var settleColumns = []outbox.Column{
	{Name: "id", Type: "uuid"}, {Name: "state", Type: "text"}, {Name: "reason", Type: "text"}, {Name: "settled_at", Type: "timestamptz"},
}

// openClaim is economy.Claim.Open of the row c.
const openClaim = `(c.state = 'pending' OR c.reason IN ('` + economy.ClaimUnknown + `', '` + economy.ClaimOfAnother + `'))`

// settleSQL leaves a claim alone that is settled for good, or so already. That nobody
// knows a purchase says nothing against what somebody knew of it before.
const settleSQL = `UPDATE claims c SET state = r.state, reason = r.reason, settled_at = r.settled_at
	FROM {rows} r WHERE c.id = r.id AND ` + openClaim + ` AND (c.state, c.reason) <> (r.state, r.reason)
		AND (c.state = 'pending' OR r.reason <> '` + economy.ClaimUnknown + `')`

var settleKind = &outbox.Kind{Name: "claim_settled", Columns: settleColumns, Steps: []outbox.Step{{Name: "update", SQL: settleSQL}}}

func (r settleRow) Kind() *outbox.Kind { return settleKind }

func (r settleRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.ID)
	c.Text(string(r.State))
	c.Text(r.Reason)
	c.Time(r.SettledAt)
}

// SettledAlone is Settle as a guard, for whoever changes nothing else. Settling a
// claim that is not open any more is a duplicate.
type SettledAlone struct{ economy.Claim }

var settledAloneKind = &outbox.Kind{
	Name: "claim_settled_alone", Columns: settleColumns,
	Steps: []outbox.Step{{Name: "update", SQL: settleSQL + ` RETURNING r.effect`}},
	Judge: `SELECT effect, 'duplicate' FROM {rows}`,
}

// Kind implements outbox.Row.
func (s SettledAlone) Kind() *outbox.Kind { return settledAloneKind }

// AppendTo implements outbox.Row.
func (s SettledAlone) AppendTo(c *outbox.Columns, effect string) { settleRow(s).AppendTo(c, effect) }

// GuardKey implements outbox.GuardRow.
func (s SettledAlone) GuardKey() string { return ClaimKey(s.ID) }
