package adjustments

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluice-gems/sluice/economy"
)

// Refusals tells of refunds that the provider refused for good; Store does.
type Refusals interface {
	// RefusedRefunds returns how many refunds of a spend were refused, and whether the
	// spend waits for an operator to have it tried again.
	RefusedRefunds(ctx context.Context, spendID string) (refused int, waits bool, err error)
}

// refusedBefore returns how many refunds of the spend were refused, of a spend whose
// next one may be tried. Who read the spend before it was refused is told to look again.
func (t *Teller) refusedBefore(ctx context.Context, spend economy.Spend) (int, error) {
	if t.Refusals == nil {
		return 0, nil
	}
	refused, waits, err := t.Refusals.RefusedRefunds(ctx, spend.ID)
	switch {
	case err != nil:
		return 0, &Retry{Err: err}
	case waits:
		return 0, &Retry{After: inHandWait, Err: fmt.Errorf("%s: its refund was refused meanwhile", spend)}
	}
	return refused, nil
}

// refundKey is the idempotency key of a spend's refund. What was refused under one key
// may be refused again for as long as the provider remembers the key.
func refundKey(spendID string, refused int) string {
	if refused == 0 {
		return spendID + ":refund"
	}
	return spendID + ":" + strconv.Itoa(refused+1) + ":refund"
}

// RefusedRefunds implements Refusals.
func (s Store) RefusedRefunds(ctx context.Context, spendID string) (refused int, waits bool, err error) {
	err = s.DB.QueryRowxContext(ctx, `SELECT count(a.id), s.needs_operator <> '' FROM spends s
		LEFT JOIN adjustments a ON a.spend_id = s.id AND a.state IN ('refused', 'insufficient')
		WHERE s.id = $1 GROUP BY s.id`, spendID).Scan(&refused, &waits)
	if err != nil {
		return 0, false, fmt.Errorf("read refusals of spend %s: %w", spendID, err)
	}
	return refused, waits, nil
}
