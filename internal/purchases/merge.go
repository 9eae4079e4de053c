package purchases

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// Merge returns the Effects that record a fact: the statement itself, and, where it
// changes what is known, the purchase's row under the guard of its version and the
// events that have its customers folded. A fact that changes nothing has no Guard:
// its caller adds one, such as outbox.Finish of the delivery that brought it.
// Stale Effects are decided anew by calling Merge again.
//
// Errors: the fact's own (economy.PurchaseFact.Validate), or the database's.
func (s *Store) Merge(ctx context.Context, fact economy.PurchaseFact, lane events.Lane, now time.Time) (outbox.Effects, error) {
	known, err := s.Purchase(ctx, fact.Key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return outbox.Effects{}, err
	}
	return Merge(known, fact, lane, now)
}

// Merge is Store.Merge for whoever has read already what is known of the purchase.
func Merge(known Recorded, fact economy.PurchaseFact, lane events.Lane, now time.Time) (outbox.Effects, error) {
	if err := fact.Validate(); err != nil {
		return outbox.Effects{}, err
	}
	effects := outbox.Effects{Rows: []outbox.Row{versionRow{fact, now}}, Owner: string(fact.Key.Store) + "/" + fact.Key.TransactionID}
	merged := economy.Merge(known.Purchase, fact)
	if merged == known.Purchase {
		return effects, nil
	}
	if first, ok := firstStatement(&known); ok {
		effects.Rows = append(effects.Rows, first)
	}
	effects.Guard = Merged{Purchase: merged, KnownVersion: known.Version, RecordedAt: now}
	effects.Events = appendChanged(nil, lane, &known.Purchase, &merged, known.Version+1, now)
	return effects, nil
}

// firstStatement returns the statement that a purchase began with, when none has changed
// it since: a Bulk does not write it down beside the purchase's row, which tells the
// same, before another changes that.
func firstStatement(p *Recorded) (versionRow, bool) {
	if p.Version != 1 {
		return versionRow{}, false
	}
	fact, ok := economy.OnlyStatement(p.Purchase)
	return versionRow{fact, p.RecordedAt}, ok
}

// appendChanged appends the events that have everybody folded whom a purchase's change
// concerns.
func appendChanged(list []events.Event, lane events.Lane, before, after *economy.Purchase, version int64, now time.Time) []events.Event {
	told, others := concerned(before, after)
	if told != "" {
		list = append(list, events.NewStorePurchaseChanged(lane, after.Key, version, told, now))
	}
	return appendOwnership(list, lane, after.Key, version, others, now)
}

// concerned returns whom a purchase's change concerns, whose it is and was: whom the
// event of the change is about, and who else is to be folded.
func concerned(before, after *economy.Purchase) (told string, others []string) {
	all := [...]string{after.Owner.Value, after.Buyer.Value, before.Owner.Value, before.Buyer.Value}
	for i, id := range all {
		switch {
		case id == "" || slices.Contains(all[:i], id):
		case told == "":
			told = id
		default:
			others = append(others, id)
		}
	}
	return told, others
}

// appendOwnership appends the events for those who are not told of the change itself.
func appendOwnership(list []events.Event, lane events.Lane, key economy.PurchaseKey, version int64, others []string, now time.Time) []events.Event {
	for _, id := range others {
		list = append(list, events.NewStoreCustomerChanged(lane, events.CustomerOwnership, events.PurchaseChangedID(key, version), id, now))
	}
	return list
}

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Recorder records facts one by one, for whoever reads many of them at once.
type Recorder struct {
	Store     *Store
	Committer Committer
	Now       func() time.Time
}

// recordTriesMax is how often a fact is merged anew because the row moved on. Each
// time somebody else's fact was recorded, so three in a row are never seen.
const recordTriesMax = 10

// Record merges a fact and returns once it is durable. Recording it again changes
// nothing. changed tells whether it taught us anything.
func (r *Recorder) Record(ctx context.Context, fact economy.PurchaseFact, lane events.Lane) (changed bool, err error) {
	for range recordTriesMax {
		effects, err := r.Store.Merge(ctx, fact, lane, r.Now())
		if err != nil {
			return false, err
		}
		if effects.Guard == nil {
			effects.Guard = noted{versionRow{fact, r.Now()}}
			effects.Rows = nil
		}
		_, isNew := effects.Guard.(Merged)
		switch result, err := r.Committer.Commit(ctx, effects); {
		case err != nil:
			return false, err
		case result != outbox.Stale:
			return isNew, nil
		}
	}
	return false, errors.New(fact.Key.String() + ": its row keeps moving")
}

// noted is the guard of a statement that changed nothing. Noting it again is a
// duplicate.
type noted struct{ versionRow }

var notedKind = &outbox.Kind{
	Name:    "purchase_noted",
	Columns: versionKind.Columns,
	Steps: []outbox.Step{
		{Name: "insert", SQL: versionKind.Steps[0].SQL + ` RETURNING transaction_id, store, environment, source, said_by, said_at`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE ((r.transaction_id, r.store, r.environment, r.source, r.said_by, r.said_at)
			IN (SELECT transaction_id, store, environment, source, said_by, said_at FROM {insert})) IS TRUE`},
	},
	Judge: `SELECT effect, 'duplicate' FROM {rows}`,
}

// Kind implements outbox.Row.
func (n noted) Kind() *outbox.Kind { return notedKind }

// GuardKey implements outbox.GuardRow.
func (n noted) GuardKey() string { return PurchaseKey(n.fact.Key) }
