package purchases

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Folded is the guard that writes what a customer's purchases come to: nobody
// folded the customer since the history was read, nor one of its aliases by itself.
// See History.Effects.
//
// Results: Applied; Stale when somebody did: read the history and fold again.
type Folded struct {
	CustomerID   string
	KnownVersion int64 // 0: the customer was never folded
	At           time.Time

	absorb []absorbed
}

// absorbed is an id that turned out to be an alias of another customer, and the
// version of its own last fold that was read; 0: it was never folded. It is retired: a
// fold of it that began before comes too late, the first one included. One that came
// before us is found by the version, and then we are the ones who read again. Once is
// enough: whoever reads the id from now on reads the link, too.
type absorbed struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}

// absorbing are a fold's retired ids, beside its row r.
const absorbing = `CROSS JOIN LATERAL jsonb_to_recordset(r.absorb) AS a(id text, version bigint)`

// foldSteps are the steps of a guard that folds a customer; the last is called fold.
// version names the column with the version that it writes. Rows are taken in the
// order of their ids, so that two commits seldom wait for each other.
func foldSteps(version string) []outbox.Step {
	return []outbox.Step{
		{Name: "absorb", SQL: `INSERT INTO customers AS c (customer_id, version, folded_at, change_id, absorbed)
			SELECT a.id, 1, r.folded_at, r.change_id, true FROM {rows} r ` + absorbing + ` ORDER BY a.id
			ON CONFLICT (customer_id) DO UPDATE SET version = c.version + 1, folded_at = excluded.folded_at, change_id = excluded.change_id, absorbed = true
			RETURNING customer_id, version`},
		{Name: "gone", SQL: `UPDATE accesses x SET state = 'revoked', cause = 'gone', changed_at = r.folded_at, expires_at = least(x.expires_at, r.folded_at)
			FROM {rows} r ` + absorbing + ` WHERE x.customer_id = a.id AND x.state = 'granted'`},
		{Name: "late", SQL: `SELECT r.effect FROM {rows} r ` + absorbing + `
			WHERE ((a.id, a.version + 1) IN (SELECT customer_id, version FROM {absorb})) IS NOT TRUE`},
		{Name: "fold", SQL: `INSERT INTO customers AS c (customer_id, version, folded_at, change_id)
			SELECT r.customer_id, r.` + version + `, r.folded_at, r.change_id FROM {rows} r
			WHERE (r.effect IN (SELECT effect FROM {late})) IS NOT TRUE ORDER BY r.customer_id
			ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, folded_at = excluded.folded_at, change_id = excluded.change_id
			WHERE c.version = excluded.version - 1 RETURNING customer_id`},
	}
}

var foldedKind = &outbox.Kind{
	Name: "customer_folded",
	Columns: []outbox.Column{
		{Name: "customer_id", Type: "text"}, {Name: "version", Type: "bigint"}, {Name: "folded_at", Type: "timestamptz"}, {Name: "change_id", Type: "uuid"},
		{Name: "absorb", Type: "jsonb"},
	},
	Steps: append(foldSteps("version"),
		outbox.Step{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.customer_id IN (SELECT customer_id FROM {fold})) IS TRUE`}),
	Judge: `SELECT r.effect, 'applied' FROM {rows} r JOIN customers c ON c.customer_id = r.customer_id WHERE c.change_id = r.change_id`,
}

// Kind implements outbox.Row.
func (f Folded) Kind() *outbox.Kind { return foldedKind }

// AppendTo implements outbox.Row.
func (f Folded) AppendTo(c *outbox.Columns, effect string) {
	c.Text(f.CustomerID)
	c.Int(f.KnownVersion + 1)
	c.Time(f.At)
	c.Text(effect)
	c.JSON(absorbJSON(f.absorb))
}

// absorbJSON encodes ids that are retired; seldom there are any.
func absorbJSON(list []absorbed) []byte {
	if len(list) == 0 {
		return []byte("[]")
	}
	return mustJSON(list)
}

// GuardKey implements outbox.GuardRow.
func (f Folded) GuardKey() string { return CustomerKey(f.CustomerID) }

// CustomerKey is what every step that changes a customer's own rows touches.
func CustomerKey(customerID string) string { return "customer:" + customerID }

// accessRow is an access as it is from now on.
type accessRow struct {
	customerID string
	access     economy.Access
	at         time.Time
}

var accessKind = &outbox.Kind{
	Name: "access",
	Columns: withKey(
		outbox.Column{Name: "customer_id", Type: "text"}, outbox.Column{Name: "module", Type: "text"}, outbox.Column{Name: "expires_at", Type: "timestamptz"},
		outbox.Column{Name: "changed_at", Type: "timestamptz"}, outbox.Column{Name: "state", Type: "text"}, outbox.Column{Name: "cause", Type: "text"},
	),
	Steps: []outbox.Step{{Name: "upsert", SQL: `INSERT INTO accesses (transaction_id, store, environment, customer_id, module, expires_at, changed_at, state, cause)
		SELECT r.transaction_id, r.store, r.environment, r.customer_id, r.module, r.expires_at, r.changed_at, r.state, r.cause
		FROM {rows} r ORDER BY r.customer_id, r.module
		ON CONFLICT (customer_id, module) DO UPDATE SET expires_at = excluded.expires_at, changed_at = excluded.changed_at,
			state = excluded.state, cause = excluded.cause, transaction_id = excluded.transaction_id, store = excluded.store,
			environment = excluded.environment`}},
}

func (r accessRow) Kind() *outbox.Kind { return accessKind }

func (r accessRow) AppendTo(c *outbox.Columns, _ string) {
	appendKey(c, r.access.Purchase)
	c.Text(r.customerID)
	c.Text(r.access.Module)
	c.Time(r.access.ExpiresAt)
	c.Time(r.at)
	c.Text(string(r.access.State))
	c.Text(r.access.Cause)
}

// grantRow is a line of what a purchase brought.
type grantRow struct {
	customerID string
	line       economy.GrantLine
	at         time.Time
}

var grantKind = &outbox.Kind{
	Name: "purchase_grant",
	Columns: withKey(
		outbox.Column{Name: "customer_id", Type: "text"}, outbox.Column{Name: "kind", Type: "text"}, outbox.Column{Name: "name", Type: "text"},
		outbox.Column{Name: "number", Type: "bigint"}, outbox.Column{Name: "quantity", Type: "bigint"}, outbox.Column{Name: "reason", Type: "text"},
		outbox.Column{Name: "catalog_version", Type: "bigint"}, outbox.Column{Name: "granted_at", Type: "timestamptz"},
	),
	// No ON CONFLICT: a line that is there already was written by a fold we did not
	// see, and that cannot happen under the guard.
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO purchase_grants (transaction_id, store, environment, customer_id, kind, name, number, quantity, reason, catalog_version, granted_at)
		SELECT r.transaction_id, r.store, r.environment, r.customer_id, r.kind, r.name, r.number, r.quantity, r.reason, r.catalog_version, r.granted_at FROM {rows} r`}},
}

func (r grantRow) Kind() *outbox.Kind { return grantKind }

func (r grantRow) AppendTo(c *outbox.Columns, _ string) {
	appendKey(c, r.line.Purchase)
	c.Text(r.customerID)
	c.Text(string(r.line.Kind))
	c.Text(r.line.Name)
	c.Int(r.line.Number)
	c.Int(r.line.Quantity)
	c.Text(string(r.line.Reason))
	c.Int(r.line.CatalogVersion)
	c.Time(r.at)
}

// conflictRow reports that histories of several ids met in one customer.
type conflictRow struct {
	customerID string
	ids        []string
	at         time.Time
}

var conflictKind = &outbox.Kind{
	Name:    "customer_conflict",
	Columns: []outbox.Column{{Name: "customer_id", Type: "text"}, {Name: "app_user_ids", Type: "jsonb"}, {Name: "found_at", Type: "timestamptz"}},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO customer_conflicts (customer_id, app_user_ids, found_at)
		SELECT r.customer_id, r.app_user_ids, r.found_at FROM {rows} r ON CONFLICT DO NOTHING`}},
}

func (r conflictRow) Kind() *outbox.Kind { return conflictKind }

func (r conflictRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.customerID)
	c.JSON(mustJSON(r.ids))
	c.Time(r.at)
}
