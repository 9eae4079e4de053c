package adjustments

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// Readings reads balances at the provider; revenuecat.Client does.
type Readings interface {
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Bases tells what a player held before an adjustment; Store does.
type Bases interface {
	// Base returns the balances as they were when the adjustment was opened, or
	// false when they are not known for sure.
	Base(ctx context.Context, open *Adjustment) (economy.Amounts, bool, error)
}

// SoleWriter is what it takes to settle by reading.
type SoleWriter interface {
	Readings
	Bases
}

// verdict is what a reading of the balances says about an adjustment.
type verdict int

const (
	ambiguous verdict = iota
	wasApplied
	wasNotApplied
)

// judgeReading compares a reading with what the player held before. It admits an
// answer only if every currency agrees on it; anything else, such as a purchase
// that arrived between, is ambiguous.
func judgeReading(before, after, deltas economy.Amounts) verdict {
	switch {
	case after.Equal(before.Plus(deltas)):
		return wasApplied
	case after.Equal(before):
		return wasNotApplied
	}
	return ambiguous
}

// settleByReading settles an unknown adjustment by reading the balances, if that
// admits one answer. It does so once the provider says that it has seen the key
// and will not answer again (RevenueCat API v2, 409 Conflict). It never tries
// unless the operator has declared that nobody but Sluice moves balances
// (SoleWriter): with a purchase or an edit possible, the same reading has two
// explanations. settled is false when nothing was settled.
func (t *Teller) settleByReading(ctx context.Context, turn Turn, outcome economy.Outcome) (done progress, settled bool) {
	open := turn.Open
	if t.SoleWriter == nil || outcome.Status != http.StatusConflict {
		return progress{}, false
	}
	before, known, err := t.SoleWriter.Base(ctx, open)
	if err != nil || !known {
		return progress{}, false
	}
	reading, err := t.SoleWriter.Balances(ctx, open.AppUserID)
	if err != nil || !reading.Known {
		return progress{}, false
	}
	var effects outbox.Effects
	switch judgeReading(before, reading.Balances, open.Deltas) {
	case wasApplied:
		effects, done = t.settlement(turn, economy.Outcome{
			Kind: economy.Applied, Balances: reading.Balances, Detail: "settled by a reading of the balance",
		}, reading.StartedAt)
		guard := effects.Guard.(Settled) //nolint:forcetypeassert // settlement makes no other
		guard.Concluded = true
		effects.Guard = guard
	case wasNotApplied:
		if open.Purpose != Charge {
			return progress{}, false // its key is used up; a person decides
		}
		effects, done = t.setFree(turn, "a reading of the balance shows that it was not applied"), progress{bound: len(turn.Spends), more: true}
	case ambiguous:
		return progress{}, false
	}
	result, err := t.Committer.Commit(ctx, effects)
	return done, err == nil && result == outbox.Applied
}

// setFree ends a charge that was definitely not applied and whose key is used up:
// its spends wait again, for another adjustment with another key.
func (t *Teller) setFree(turn Turn, why string) outbox.Effects {
	open := turn.Open
	effects := outbox.Effects{
		Guard:   Settled{AdjustmentID: open.ID, Attempt: open.Attempts, Outcome: economy.Refused, At: t.Now(), Detail: why},
		Rows:    []outbox.Row{unbindRow{open.ID}},
		Touches: []string{books.PlayerKey(open.AppUserID)}, Owner: open.AppUserID,
	}
	for _, spend := range turn.Spends {
		effects.Touches = append(effects.Touches, books.SpendKey(spend.ID))
	}
	return effects
}

// baseQuery reads the balances a player held when an adjustment was opened: our
// last reading, if it is older than that and no movement of ours can have come
// after it, which is one that was settled later, unless the reading is its own
// answer. Nothing is known for an adjustment that stepped aside: another one may be
// opened and applied before its balance is read.
const baseQuery = `SELECT currency, balance FROM balances b
	WHERE app_user_id = $1 AND as_of <= $3
		AND EXISTS (SELECT 1 FROM adjustments a WHERE a.id = $2 AND a.state = 'open')
		AND NOT EXISTS (SELECT 1 FROM adjustments x WHERE x.app_user_id = $1 AND x.id <> $2
			AND (x.state IN ('open', 'unknown')
				OR x.state = 'applied' AND x.settled_at > b.as_of AND x.answered_as_of IS DISTINCT FROM b.as_of))`

// Base implements Bases.
func (s Store) Base(ctx context.Context, open *Adjustment) (economy.Amounts, bool, error) {
	var rows []struct {
		Currency economy.Currency `db:"currency"`
		Balance  economy.Amount   `db:"balance"`
	}
	if err := s.DB.SelectContext(ctx, &rows, baseQuery, open.AppUserID, open.ID, open.OpenedAt); err != nil {
		return nil, false, fmt.Errorf("read base of adjustment %s: %w", open.ID, err)
	}
	base := economy.Amounts{}
	for _, row := range rows {
		base[row.Currency] = row.Balance
	}
	for currency := range open.Deltas {
		if _, known := base[currency]; !known {
			return nil, false, nil
		}
	}
	return base, true, nil
}
