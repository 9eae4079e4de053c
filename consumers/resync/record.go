package resync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// recordersMax is how many facts of one reading are recorded at once: they share
// commits.
const recordersMax = 8

// record makes durable what was found, and at last that the reading is whole. Links
// come first: until an id is known to be the customer's, what it bought would look
// like somebody else's.
func (c *Consumer) record(ctx context.Context, event events.Event, customer economy.Customer, f found) error {
	if err := c.link(ctx, event, customer, f); err != nil {
		return err
	}
	changed, problems, err := c.recordFacts(ctx, event.Lane, f.facts)
	if err != nil {
		return err
	}
	if f.balances.Known {
		for _, id := range f.ids {
			if id != event.AppUserID && economy.IsAnonymous(id) {
				continue // nobody spends as that
			}
			if err := c.Mirror.KeepReading(ctx, id, f.balances.Balances, f.balances.StartedAt); err != nil {
				return err
			}
		}
	}
	if f.untold > 0 {
		c.Log.WarnContext(ctx, "the API does not tell some periods; an export does", "event_id", event.ID, "subscriptions", f.untold)
	}
	if problems != nil { // everything else is recorded
		return consumers.Permanent(problems)
	}
	_, err = c.Recorder.Committer.Commit(ctx, outbox.Effects{
		Guard: purchases.ReadingDone{Reading: purchases.Reading{
			AppUserID: event.AppUserID, StartedAt: f.startedAt, FinishedAt: c.Now(), Found: f.known, Purchases: int64(len(f.facts)), Changed: changed,
		}},
		Owner: event.AppUserID,
	})
	if err != nil {
		return fmt.Errorf("keep reading: %w", err)
	}
	return nil
}

// link records which ids are one customer, and has the customer folded again when
// that is news.
func (c *Consumer) link(ctx context.Context, event events.Event, customer economy.Customer, f found) error {
	if len(f.ids) < 2 || !slices.ContainsFunc(f.ids, func(id string) bool { return !customer.Has(id) }) {
		return nil
	}
	now := c.Now()
	_, err := c.Recorder.Committer.Commit(ctx, outbox.Effects{
		Guard:  purchases.ReadingBegun{AppUserID: event.AppUserID, At: f.startedAt},
		Rows:   purchases.Aliases(f.ids, Spec.Name, now),
		Events: []events.Event{events.NewStoreCustomerChanged(event.Lane, events.CustomerAliased, event.ID, event.AppUserID, now)},
		Owner:  event.AppUserID,
	})
	if err != nil {
		return fmt.Errorf("link ids: %w", err)
	}
	return nil
}

// recordFacts records all facts. problems are those that cannot be recorded, ever.
func (c *Consumer) recordFacts(ctx context.Context, lane events.Lane, facts []economy.PurchaseFact) (changed int64, problems, err error) {
	invalid, teaches := make([]error, len(facts)), make([]bool, len(facts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(recordersMax)
	for i, fact := range facts {
		if invalid[i] = valid(fact); invalid[i] != nil {
			continue
		}
		group.Go(func() error {
			var err error
			teaches[i], err = c.Recorder.Record(ctx, fact, lane)
			if data, ok := errors.AsType[*outbox.DataError](err); ok {
				invalid[i] = data
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, nil, err
	}
	for _, news := range teaches {
		if news {
			changed++
		}
	}
	return changed, errors.Join(invalid...), nil
}

// valid says why a fact cannot be recorded.
func valid(fact economy.PurchaseFact) error {
	for _, text := range []string{string(fact.Key.Store), fact.Key.TransactionID, fact.AppUserID, fact.Buyer, fact.Product, fact.Original} {
		if strings.ContainsRune(text, 0) { // PostgreSQL has no such text
			return errors.New("a text of a purchase holds a NUL")
		}
	}
	return fact.Validate()
}
