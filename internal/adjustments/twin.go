package adjustments

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// ErrTwinOpen says that an adjustment which a movement may tell of again has no
// outcome yet: ask again once it has.
var ErrTwinOpen = errors.New("an adjustment of the same sums is under way")

// twinQuery finds an adjustment of a customer with exactly the sums of a movement,
// made between its first call and its answer, give or take a minute for the clocks,
// that no other movement has told of.
const twinQuery = `SELECT id, state <> 'applied' AS open FROM adjustments a
	WHERE app_user_id = ANY($1) AND (settled_at >= $3::timestamptz - interval '1 minute' OR settled_at IS NULL)
		AND opened_at <= $3::timestamptz + interval '1 minute' AND deltas = $2::jsonb AND state IN ('applied', 'open', 'unknown')
		AND NOT EXISTS (SELECT FROM provider_movements m WHERE m.adjustment_id = a.id AND m.movement_id <> $4)
	ORDER BY open, opened_at LIMIT 1`

// Twin returns the adjustment of ours that a movement tells again, as far as one can
// know, or "". The provider documents that our own calls send no event, and an event
// names neither key nor reference: sums and time are all there is. appUserIDs are all
// ids of the movement's customer.
func (s Store) Twin(ctx context.Context, appUserIDs []string, m economy.Movement) (string, error) {
	var found []struct {
		ID   string `db:"id"`
		Open bool   `db:"open"`
	}
	err := s.DB.SelectContext(ctx, &found, twinQuery, postgres.Array(appUserIDs), string(books.EncodeAmounts(m.Adjustments)), m.At, m.ID)
	switch {
	case err != nil:
		return "", fmt.Errorf("read adjustments like movement %s: %w", m.ID, err)
	case len(found) == 0:
		return "", nil
	case found[0].Open:
		return "", fmt.Errorf("movement %s: %w", m.ID, ErrTwinOpen)
	}
	return found[0].ID, nil
}
