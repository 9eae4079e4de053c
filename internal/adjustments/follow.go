package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// The consumers that are owed the facts which adjustments settle.
const (
	ChargeConsumer = "adjust"
	RefundConsumer = "compensate"
)

// settle returns the step that a definite outcome of an adjustment means for one of
// the spends it concerns.
func settle(purpose Purpose, spend economy.Spend, outcome economy.Outcome, now time.Time) economy.Change {
	switch purpose {
	case Refund:
		return economy.SettleRefund(spend, outcome, now)
	case Grant:
		return economy.SettleGrant(spend, outcome, now)
	case Charge:
		return economy.Settle(spend, outcome, now)
	}
	return economy.Change{}
}

// follow adds a settled spend's step to the effects, with all that goes with it.
// A step that changes nothing adds nothing.
func follow(effects *outbox.Effects, before economy.Spend, change economy.Change, now time.Time) {
	if change.Empty() {
		return
	}
	effects.Rows = append(effects.Rows, books.Follow(change, now)...)
	effects.Touches = append(effects.Touches, books.SpendKey(before.ID))
	if change.Release { // one statement updates the item's counter once: not beside one that accepts
		effects.Touches = append(effects.Touches, books.LimitKey(before.AppUserID, before.Item))
	}
	effects.Done = append(effects.Done, causes(before)...)
	effects.Events = append(effects.Events, facts(change, now)...)
	effects.Notices = append(effects.Notices, events.Notice{Spend: change.Spend})
}

// causes returns the delivery that a settled spend finishes, whichever message
// brought the worker to the player.
func causes(before economy.Spend) []outbox.Delivery {
	switch before.State {
	case economy.Requested:
		return []outbox.Delivery{{EventID: events.EventID(events.SpendRequestedV1, before.ID), Consumer: ChargeConsumer}}
	case economy.Refunding:
		return []outbox.Delivery{{EventID: events.EventID(events.SpendRefundingV1, before.ID), Consumer: RefundConsumer}}
	default:
		return nil
	}
}

// facts returns what others must hear of a settled spend.
func facts(change economy.Change, now time.Time) []events.Event {
	if change.Spend.State != economy.Charged {
		return nil
	}
	return []events.Event{events.NewSpendCharged(change.Spend.ID, change.Spend.AppUserID, now)}
}
