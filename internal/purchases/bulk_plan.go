package purchases

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// plan reads what is known and decides.
func (b *Bulk) plan(ctx context.Context, tx *sqlx.Tx, list []Statement) (*Plan, error) {
	known, err := b.read(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	if cap(b.states) < len(list) {
		b.states, b.byKey = make([]state, 0, len(list)), make(map[economy.PurchaseKey]*state, len(list))
	}
	clear(b.byKey)
	d := decision{
		plan: &Plan{}, room: b.states[:0], states: b.byKey, known: known, lane: b.config.Lane, now: b.config.Now(),
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
	sortVersions(d.plan.news)
	sortVersions(d.plan.noted)
	return d.plan, nil
}

func sortVersions(list []versionRow) {
	slices.SortFunc(list, func(a, b versionRow) int { return compareRows(&a.fact.Key, &b.fact.Key) })
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
	fresh := d.hears(s, fact)
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
		if fresh {
			d.plan.noted = append(d.plan.noted, versionRow{*fact, d.now})
		}
		return
	}
	if c.steps == 0 {
		d.plan.Changes = append(d.plan.Changes, c)
		if first, ok := firstStatement(c.Before); ok {
			d.plan.news = append(d.plan.news, first)
		}
	}
	if fresh {
		d.plan.news = append(d.plan.news, versionRow{*fact, d.now})
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

// hears keeps what is said of a purchase that nobody knew of, and reports of one that
// somebody did whether a statement may have to be written down: what the purchase knows by
// a stamp was told by a statement that is.
func (d *decision) hears(s *state, fact *economy.PurchaseFact) bool {
	stamp := economy.Stamp{Source: fact.Source, At: fact.At.UTC().Truncate(time.Microsecond), Kind: fact.Kind, By: fact.By}
	if !s.hears(stamp) {
		return false
	}
	if c := &s.change; c.New() {
		if c.said == nil {
			c.said = fact
		} else {
			c.more = append(c.more, fact)
		}
		return false
	}
	for _, known := range s.change.Before.Stamps() {
		if *known == stamp {
			return false
		}
	}
	return true
}
