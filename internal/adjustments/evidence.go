package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// unbindRow sets the spends of an adjustment free that was refused for all of
// them together: none was charged, and each waits again in its old place.
type unbindRow struct{ adjustmentID string }

var unbindKind = &outbox.Kind{
	Name:    "adjustment_unbind",
	Columns: []outbox.Column{{Name: "id", Type: "uuid"}},
	Steps: []outbox.Step{{Name: "update", SQL: `UPDATE spends s SET adjustment_id = NULL, unknown_since = NULL
		FROM {rows} r JOIN adjustments a ON a.id = r.id
		WHERE s.app_user_id = a.app_user_id AND s.finished_at IS NULL AND s.adjustment_id = a.id AND s.state = 'requested'`}},
}

func (r unbindRow) Kind() *outbox.Kind { return unbindKind }

func (r unbindRow) AppendTo(c *outbox.Columns, _ string) { c.Text(r.adjustmentID) }

// declinedBeside returns those of the waiting spends that a refusal of a charge
// declines with it.
func declinedBeside(charge Adjustment, waiting []economy.Spend) []economy.Spend {
	price := charge.Deltas.Negated()
	var list []economy.Spend
	for _, spend := range waiting {
		if economy.DeclinedByEvidence(spend.Cost, price) {
			list = append(list, spend)
		}
	}
	return list
}

// refusedTogether is what follows when the provider refused an adjustment for
// lack of funds: a single spend is declined, several wait again. Spends that were
// waiting before the call and cost as much or more are declined on the same
// evidence: whatever the balance was, it did not cover them either. Bind saw that
// they waited still, and since then they can neither be bound elsewhere nor be
// declined by another call, since this adjustment was open until now.
func refusedTogether(effects *outbox.Effects, turn Turn, outcome economy.Outcome, now time.Time) (declined []economy.Spend) {
	if len(turn.Spends) == 1 {
		declined = append(declined, turn.Spends[0])
	} else {
		effects.Rows = append(effects.Rows, unbindRow{turn.Open.ID})
		for _, spend := range turn.Spends {
			effects.Touches = append(effects.Touches, books.SpendKey(spend.ID))
		}
	}
	declined = append(declined, turn.Waiting...)
	for _, spend := range declined {
		follow(effects, spend, economy.Settle(spend, outcome, now), now)
	}
	return declined
}
