package console

import (
	"fmt"

	"github.com/sluice-gems/sluice/internal/audit"
)

// proofMax is the most spends of a player that the proof is worked out for here: it
// holds every line of the ledger against its spend. The command line has no limit.
const proofMax = 5_000

// proofPage is what proof.html shows.
type proofPage struct {
	ID   string
	By   string
	Page *audit.Page // nil: there is too much for a page
}

func (c *Console) proof(q *request) error {
	id := q.param("id")
	if id == "" {
		return missing("Name a player.")
	}
	customer, err := c.Purchases.Customer(q.Context(), id)
	if err != nil {
		return err
	}
	page, spends := proofPage{ID: id, By: q.session.Who()}, 0
	for _, each := range customer.AppUserIDs {
		var n int
		if err := c.db.GetContext(q.Context(), &n, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM spends WHERE app_user_id = $1 LIMIT %d) AS few", proofMax+1), each); err != nil {
			return fmt.Errorf("count spends: %w", err)
		}
		spends += n
	}
	if spends <= proofMax {
		proof, err := audit.Player(q.Context(), c.db, customer.AppUserIDs)
		if err != nil {
			return err
		}
		page.Page = &proof
	}
	return c.show(q, "proof", "Proof of "+mask(id), page)
}
