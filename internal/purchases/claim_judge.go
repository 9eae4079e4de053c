package purchases

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// JudgeClaim returns a claim as what is recorded of its purchase settles it
// (economy.SettleClaim), unchanged while nobody but players told of the purchase. It
// writes nothing. For a claim made after its purchase was folded, and for whoever
// has just asked the provider: no fold may come by that would settle it.
func (s *Store) JudgeClaim(ctx context.Context, claim economy.Claim, now time.Time) (economy.Claim, error) {
	if !claim.Open() {
		return claim, nil
	}
	var rows []purchaseRow
	// Production first: a purchase in the sandbox may carry the same number.
	if err := s.db.SelectContext(ctx, &rows, `SELECT `+purchaseColumns+` FROM purchases
		WHERE transaction_id = $1 AND store = $2 ORDER BY environment`, claim.TransactionID, string(claim.Store)); err != nil {
		return claim, fmt.Errorf("read purchases of claim %s: %w", claim.ID, err)
	}
	judged := claim
	for _, row := range rows {
		p, err := row.recorded()
		if err != nil {
			return claim, err
		}
		if !p.Confirmed() || p.Owner.Value == "" { // nobody was named: whose it is comes later
			continue
		}
		mine, err := s.belongs(ctx, p.Purchase, claim.AppUserID)
		if err != nil {
			return claim, err
		}
		if judged = economy.SettleClaim(claim, p.Purchase, mine, now); mine {
			break
		}
	}
	return judged, nil
}

// belongs reports whether a purchase is of a player's customer, after transfers.
func (s *Store) belongs(ctx context.Context, p economy.Purchase, appUserID string) (bool, error) {
	h, err := s.History(ctx, p.Owner.Value)
	if err != nil {
		return false, err
	}
	owner := h.OwnerOf(p)
	if h.Customer.ID == owner {
		return h.Customer.Has(appUserID), nil
	}
	customer, err := s.Customer(ctx, owner)
	return customer.Has(appUserID), err
}
