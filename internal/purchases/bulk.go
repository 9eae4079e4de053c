package purchases

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
// player of all its purchases that changed (see appendTellings). What is known is read in
// one go, joined in memory by economy.Merge, and written by COPY.
//
// It is not for use by several goroutines. Several of them may work beside each other
// and beside everybody else: who meets another's commit starts again.
type Bulk struct {
	config BulkConfig
	conn   *sqlx.Conn
	known  *sqlx.Stmt
	rows   bulkRows
	fact   []byte             // room for the stored form of one
	states []state            // room for those of a plan
	linked map[[2]string]bool // links that are written down: a customer has many purchases
}

// linkedMax bounds the links that are remembered, to about 10 MB.
const linkedMax = 20_000

// bulkSession reaches rows by key whatever the planner thinks of a table that grows under
// it. Whoever waits for a row of ours longer than lock_timeout is not kept waiting by a
// deadlock: that is found after deadlock_timeout, 1 s. The commit need not be on disk
// when it returns: the caller's checkpoint is in it, so what is lost is done again.
const bulkSession = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
	SET plan_cache_mode = force_generic_plan; SET synchronous_commit = off; SET lock_timeout = '500ms'; SET statement_timeout = '60s'`

// changedTable holds purchases on their way into rows that exist.
const changedTable = "bulk_purchases"

const knownQuery = `SELECT ` + purchaseColumns + ` FROM purchases WHERE transaction_id = ANY($1)`

// NewBulk opens the connection. Close it.
func NewBulk(ctx context.Context, db *sqlx.DB, config BulkConfig) (*Bulk, error) {
	conn, err := db.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	b := &Bulk{config: config, conn: conn}
	_, err = conn.ExecContext(ctx, bulkSession+`; CREATE TEMPORARY TABLE IF NOT EXISTS `+changedTable+` (LIKE purchases INCLUDING DEFAULTS, known_version bigint) ON COMMIT DELETE ROWS`)
	if err == nil {
		b.known, err = conn.PreparexContext(ctx, knownQuery)
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

	noted  []versionRow       // statements that may have been written down before
	groups [][]string         // ids that are one customer, as told
	told   map[[2]string]bool // links that were written, or were there
	links  [][2]string        // those that were written
	events []events.Event
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
			b.remember(plan.told)
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

// remember keeps links that are committed; links are never taken back.
func (b *Bulk) remember(links map[[2]string]bool) {
	if b.linked == nil || len(b.linked)+len(links) > linkedMax {
		b.linked = map[[2]string]bool{}
	}
	if len(links) <= linkedMax {
		maps.Copy(b.linked, links)
	}
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

// plan reads what is known and decides.
func (b *Bulk) plan(ctx context.Context, tx *sqlx.Tx, list []Statement) (*Plan, error) {
	known, err := b.read(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	if cap(b.states) < len(list) {
		b.states = make([]state, 0, len(list))
	}
	d := decision{
		plan: &Plan{}, room: b.states[:0], states: make(map[economy.PurchaseKey]*state, len(list)), known: known, lane: b.config.Lane, now: b.config.Now(),
	}
	d.plan.Changes = make([]*Change, 0, len(list))
	for i := range list {
		if len(list[i].Aliases) > 1 {
			d.plan.groups = append(d.plan.groups, list[i].Aliases)
		}
		if list[i].Fact.Key.TransactionID != "" {
			d.take(&list[i].Fact)
		}
	}
	slices.SortFunc(d.plan.Changes, func(a, b *Change) int { return compareRows(&a.After.Key, &b.After.Key) })
	slices.SortFunc(d.plan.noted, func(a, b versionRow) int { return compareRows(&a.fact.Key, &b.fact.Key) })
	d.plan.events = appendTellings(d.plan.events, d.lane, d.plan.Changes, d.now)
	return d.plan, nil
}

// compareRows orders keys as the tables' indexes do, so that two commits cannot wait
// for each other, and neighbours are written together.
func compareRows(a, b *economy.PurchaseKey) int {
	if order := strings.Compare(a.TransactionID, b.TransactionID); order != 0 {
		return order
	}
	return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Environment, b.Environment))
}

// read returns what is known of the statements' purchases.
func (b *Bulk) read(ctx context.Context, tx *sqlx.Tx, list []Statement) (map[economy.PurchaseKey]*Recorded, error) {
	ids := make([]string, 0, len(list))
	for i := range list {
		if id := list[i].Fact.Key.TransactionID; id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	rows, err := tx.StmtxContext(ctx, b.known).QueryxContext(ctx, //nolint:sqlclosecheck // the transaction closes its statement
		postgres.Array(slices.Compact(ids)))
	if err != nil {
		return nil, fmt.Errorf("read purchases: %w", err)
	}
	defer func() { _ = rows.Close() }()
	known := map[economy.PurchaseKey]*Recorded{}
	for rows.Next() {
		var row purchaseRow
		if err := rows.StructScan(&row); err != nil {
			return nil, fmt.Errorf("read purchases: %w", err)
		}
		purchase, err := row.recorded()
		if err != nil {
			return nil, err
		}
		known[purchase.Key] = &purchase
	}
	return known, rows.Err()
}

// state is a purchase while its statements are taken one after the other.
type state struct {
	change Change
	said   economy.Stamp   // of its first statement in this plan
	more   []economy.Stamp // of the others
}

// hears keeps the stamp of a statement and reports whether it is the first with it.
func (s *state) hears(stamp economy.Stamp) bool {
	switch {
	case s.said.IsZero():
		s.said = stamp
	case s.said == stamp, slices.Contains(s.more, stamp):
		return false
	default:
		s.more = append(s.more, stamp)
	}
	return true
}

type decision struct {
	plan   *Plan
	known  map[economy.PurchaseKey]*Recorded
	states map[economy.PurchaseKey]*state
	room   []state // never grows: the states point into it
	lane   events.Lane
	now    time.Time
}

// take is Merge of one fact, after those before it.
func (d *decision) take(fact *economy.PurchaseFact) {
	s := d.states[fact.Key]
	if s == nil {
		d.room = append(d.room, state{})
		s = &d.room[len(d.room)-1]
		if known := d.known[fact.Key]; known != nil {
			s.change = Change{Before: known, After: known.Purchase, version: known.Version}
		}
		d.states[fact.Key] = s
	}
	c := &s.change
	d.note(s, fact)
	if c.version+c.steps == 0 {
		c.After = economy.PurchaseOf(*fact)
		c.steps = 1
		d.plan.New++
		d.plan.Changes = append(d.plan.Changes, c)
		d.tell(c, &economy.Purchase{}, &c.After)
		return
	}
	merged := economy.Merge(c.After, *fact)
	if merged == c.After {
		d.plan.Unchanged++
		return
	}
	if c.steps == 0 {
		d.plan.Changes = append(d.plan.Changes, c)
	}
	d.plan.Changed++
	c.steps++
	d.tell(c, &c.After, &merged)
	c.After = merged
}

// tell keeps whom a step of a purchase concerns.
func (d *decision) tell(c *Change, before, after *economy.Purchase) {
	version := c.version + c.steps
	told, others := concerned(before, after)
	if told != "" {
		c.tells(told, version)
	}
	d.plan.events = appendOwnership(d.plan.events, d.lane, after.Key, version, others, d.now)
}

// note keeps the statement, unless it is known to be written down: what a purchase
// knows by a stamp was told by a statement that is.
func (d *decision) note(s *state, fact *economy.PurchaseFact) {
	stamp := economy.Stamp{Source: fact.Source, At: fact.At.UTC().Truncate(time.Microsecond), Kind: fact.Kind, By: fact.By}
	if !s.hears(stamp) {
		return
	}
	if c := &s.change; c.New() {
		if c.said == nil {
			c.said = fact
		} else {
			c.more = append(c.more, fact)
		}
		return
	}
	for _, known := range s.change.Before.Stamps() {
		if *known == stamp {
			return
		}
	}
	d.plan.noted = append(d.plan.noted, versionRow{*fact, d.now})
}
