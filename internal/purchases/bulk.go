package purchases

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// Statement is a fact, with the ids its source says are one customer. A Fact without a
// transaction says nothing of a purchase: only the ids count.
type Statement struct {
	Fact    economy.PurchaseFact
	Aliases []string // two or more; or none
}

// BulkConfig configures a Bulk.
type BulkConfig struct {
	Lane          events.Lane
	Subscriptions outbox.Subscriptions
	Source        string // who tells of the links, as customer_aliases keeps it
	Now           func() time.Time
	// UsedUpBefore marks purchases made before then that nobody told of so far: their
	// consumables were used up. Whatever tells of them later, the mark stays. Zero: none.
	UsedUpBefore time.Time
}

// Bulk records many statements at once, on a connection of its own. What it leaves is
// what Recorder.Record of each, in their order, would have left, with the links and the
// events of access beside them; only that it is one commit, and that one event tells a
// player of all its purchases that changed (see tellings), and that the statement
// which a purchase began with stays in its row (see firstStatement). What is known is read
// in one go, joined in memory by economy.Merge, and written by COPY.
//
// It is not for use by several goroutines. Several of them may work beside each other
// and beside everybody else: who meets another's commit starts again.
type Bulk struct {
	config BulkConfig
	conn   *sqlx.Conn
	known  *sqlx.Stmt
	change *sqlx.Stmt
	rows   bulkRows
	fact   []byte                         // room for the stored form of one
	states []state                        // room for those of a plan
	byKey  map[economy.PurchaseKey]*state // and to find them
	linked linkSet                        // links that are written down: a customer has many purchases
	wary   bool                           // statements that should not have been written down were, see writeVersions
}

// bulkSession reaches rows by key whatever the planner thinks of a table that grows under
// it. Whoever waits for a row of ours longer than lock_timeout is not kept waiting by a
// deadlock: that is found after deadlock_timeout, 1 s. The commit need not be on disk
// when it returns: the caller's checkpoint is in it, so what is lost is done again.
const bulkSession = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
	SET plan_cache_mode = force_generic_plan; SET synchronous_commit = off; SET lock_timeout = '500ms'; SET statement_timeout = '60s'`

const knownQuery = `SELECT ` + purchaseColumns + ` FROM purchases WHERE transaction_id = ANY($1)`

// NewBulk opens the connection. Close it.
func NewBulk(ctx context.Context, db *sqlx.DB, config BulkConfig) (*Bulk, error) {
	conn, err := db.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	b := &Bulk{config: config, conn: conn}
	if _, err = conn.ExecContext(ctx, bulkSession); err == nil {
		b.known, err = conn.PreparexContext(ctx, knownQuery)
	}
	if err == nil {
		b.change, err = conn.PreparexContext(ctx, changeQuery)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return b, nil
}

// Close closes the connection: its settings are nobody else's.
func (b *Bulk) Close() { postgres.Discard(b.conn) }

// Change is what becomes of one purchase. It holds until the next Merge.
type Change struct {
	Before  *Recorded // nil when nobody knew of it
	After   economy.Purchase
	version int64 // of the row that was read; 0: there was none
	steps   int64 // how often it changes
	told    telling
	earlier []telling               // of other players, before it was the present one's
	said    *economy.PurchaseFact   // of a new one, the first statement
	more    []*economy.PurchaseFact // and those after it
}

// New reports whether nobody knew of the purchase.
func (c *Change) New() bool { return c.version == 0 }

// Plan is what a list of statements comes to. It holds until the next Merge.
type Plan struct {
	New, Changed, Unchanged int // statements
	Linked                  int // links that are new
	Owed                    int // deliveries that consumers are owed for it

	Changes []*Change // of purchases that change, in the order of their keys

	news   []versionRow   // statements that change a purchase somebody knew of, and the first of one that they change
	noted  []versionRow   // statements that change nothing, and may have been written down before
	groups [][]string     // ids that are one customer, as told
	told   []link         // links that were written, or were there
	links  []link         // those that were written
	events []events.Event // of others whom steps of purchases concern
}

// Players returns whom the plan concerns: whose the purchases that change are and were,
// and, once they are written, one of each two ids that turned out to be one customer,
// where neither is named already.
func (p *Plan) Players() []string {
	players := map[string]bool{}
	for _, c := range p.Changes {
		players[c.After.Owner.Value], players[c.After.Buyer.Value] = true, true
		if c.Before != nil {
			players[c.Before.Owner.Value], players[c.Before.Buyer.Value] = true, true
		}
	}
	for _, l := range p.links {
		if !players[l[0]] && !players[l[1]] {
			players[l[0]] = true
		}
	}
	delete(players, "")
	return slices.Sorted(maps.Keys(players))
}

// ErrBulkBusy says that others kept changing the same rows.
var ErrBulkBusy = errors.New("the rows keep moving: somebody else writes the same purchases")

// errMoved says that a row is not what it was when it was read.
var errMoved = errors.New("a row moved on")

const (
	bulkTriesMax = 12
	bulkWaitMin  = 5 * time.Millisecond
)

// Merge records the statements. beside runs in the same transaction, last; an error of
// its own undoes everything and is returned as it is. It is called again when the
// transaction is.
//
// Errors: ErrBulkBusy, outbox.DataError for statements that the database refuses (halve
// the list to find which), beside's, and the database's, after which it is not known
// whether the commit happened: beside's own row tells.
func (b *Bulk) Merge(ctx context.Context, list []Statement, beside func(ctx context.Context, tx *sqlx.Tx, plan *Plan) error) (*Plan, error) {
	wait := bulkWaitMin
	var own besideError
	for range bulkTriesMax {
		plan, err := b.try(ctx, list, beside)
		switch {
		case err == nil:
			b.linked.add(plan.told)
			return plan, nil
		case postgres.Classify(err) == postgres.Deadlock, errors.Is(err, errMoved):
		case errors.As(err, &own):
			return nil, own.err
		case postgres.Code(err) == uniqueViolation:
		case postgres.Classify(err) == postgres.Data:
			return nil, &outbox.DataError{Err: err}
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		wait *= 2
	}
	return nil, ErrBulkBusy
}

const uniqueViolation = "23505"

func (b *Bulk) try(ctx context.Context, list []Statement, beside func(context.Context, *sqlx.Tx, *Plan) error) (plan *Plan, err error) {
	tx, err := b.conn.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	if plan, err = b.plan(ctx, tx, list); err != nil {
		return nil, err
	}
	if err := b.write(ctx, tx, plan); err != nil {
		return nil, err
	}
	if err := beside(ctx, tx, plan); err != nil {
		return nil, besideError{err}
	}
	return plan, tx.Commit()
}
