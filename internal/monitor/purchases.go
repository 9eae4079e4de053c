package monitor

import (
	"context"
	"fmt"
)

// Purchases counts what somebody paid for and a person has to look at.
type Purchases struct {
	// UnknownProduct are purchases that were folded and whose product no catalogue had:
	// somebody paid and got nothing of ours. Counted up to 1,000: each is looked up.
	UnknownProduct int64 `json:"unknown_product" db:"unknown"`
	// Conflicts are customers in whom the histories of several players met, and nobody has
	// looked yet. Counted up to 10,000.
	Conflicts int64 `json:"conflicts" db:"conflicts"`
}

// What is counted is bounded.
const (
	conflictsMax = 10_000
	unknownMax   = 1_000
)

func (m *Monitor) readPurchases(ctx context.Context, s *Snapshot) error {
	var p Purchases
	err := m.db.GetContext(ctx, &p, `SELECT
		(SELECT count(*) FROM (SELECT FROM customer_conflicts WHERE resolved_at IS NULL LIMIT $1) c) AS conflicts,
		(SELECT count(*) FROM (SELECT FROM purchases_of_unknown_products LIMIT $2) p) AS unknown`, conflictsMax, unknownMax)
	if err != nil {
		return fmt.Errorf("count purchases that need somebody: %w", err)
	}
	s.Purchases = &p
	return nil
}
