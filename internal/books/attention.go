package books

import (
	"cmp"
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Attention is a spend that only the provider's answer or a person can settle.
type Attention struct {
	Spend   economy.Spend
	Unknown *StoryAdjustment // its call of unknown outcome; nil: there is none
}

// Attention returns the spends that only the provider's answer or a person can
// settle, oldest first, at most limit: of unknown outcome, marked for an operator, or
// held.
func (b *Books) Attention(ctx context.Context, limit int) ([]Attention, error) {
	return b.attention(ctx, "unknown_since IS NOT NULL OR needs_operator <> '' OR held", limit)
}

// Unknown returns the oldest spends whose charge or refund has an unknown outcome,
// at most limit, however many others need attention.
func (b *Books) Unknown(ctx context.Context, limit int) ([]Attention, error) {
	return b.attention(ctx, "unknown_since IS NOT NULL", limit)
}

func (b *Books) attention(ctx context.Context, which string, limit int) ([]Attention, error) {
	spends, err := b.many(ctx, "SELECT "+SpendColumns+" FROM spends WHERE "+which+" ORDER BY accepted_at LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	list := make([]Attention, len(spends))
	var spendIDs, adjustmentIDs []string
	for i, spend := range spends {
		list[i].Spend = spend
		spendIDs = append(spendIDs, spend.ID)
		if spend.AdjustmentID != "" {
			adjustmentIDs = append(adjustmentIDs, spend.AdjustmentID)
		}
	}
	var calls []StoryAdjustment
	if err := b.db.SelectContext(ctx, &calls, "SELECT "+storyAdjustmentColumns+` FROM adjustments
		WHERE (id = ANY($1::uuid[]) OR spend_id = ANY($2::uuid[])) AND state IN ('open', 'unknown') AND unknown_since IS NOT NULL`,
		postgres.Array(adjustmentIDs), postgres.Array(spendIDs)); err != nil {
		return nil, fmt.Errorf("read adjustments of unknown outcome: %w", err)
	}
	charges, refunds := map[string]*StoryAdjustment{}, map[string]*StoryAdjustment{}
	for i, call := range calls {
		if call.SpendID != nil {
			refunds[*call.SpendID] = &calls[i]
		} else {
			charges[call.ID] = &calls[i]
		}
	}
	for i, spend := range spends {
		list[i].Unknown = cmp.Or(refunds[spend.ID], charges[spend.AdjustmentID])
	}
	return list, nil
}
