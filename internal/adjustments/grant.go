package adjustments

import (
	"context"
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// newGrant prepares the adjustment that gives what a grant gives. Its key comes
// from the grant, so that a grant can be given under one key only.
func newGrant(id string, grant economy.Spend, body func(economy.Amounts, string) []byte) Adjustment {
	return Adjustment{
		ID: id, AppUserID: grant.AppUserID, Purpose: Grant,
		IdempotencyKey: grant.ID + ":grant", Deltas: grant.Cost, Body: string(body(grant.Cost, "sluice grant "+grant.ID)),
	}
}

// bindGrant binds the grant at the head of the line, alone: a charge that is
// refused for lack of funds must not take a grant with it, nor a grant a charge.
func (t *Teller) bindGrant(ctx context.Context, turn Turn) (Turn, error) {
	return t.bind(ctx, newGrant(t.NewID(), turn.Waiting[0], revenuecat.Body), turn.Waiting[:1], nil)
}

// grantIsNext reports whether the next in line is a grant.
func grantIsNext(waiting []economy.Spend) bool {
	return len(waiting) > 0 && waiting[0].Kind == economy.KindGrant
}

// untilGrant returns the spends that wait before the next grant: what may be
// charged together, and declined on one evidence. Those behind it may be covered by
// what it gives.
func untilGrant(waiting []economy.Spend) []economy.Spend {
	n := slices.IndexFunc(waiting, func(s economy.Spend) bool { return s.Kind == economy.KindGrant })
	if n < 0 {
		return waiting
	}
	return waiting[:n]
}
