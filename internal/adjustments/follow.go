package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// The consumers that are owed the facts which adjustments settle.
const (
	ChargeConsumer = "adjust"
	RefundConsumer = "compensate"
)

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
