package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// purchasesPage is what purchases.html shows.
type purchasesPage struct {
	Transaction, Player string
	Found               []purchases.Recorded
	Unknown             []purchases.Recorded // whose product no catalogue knows
}

// purchasesShown bounds every list of purchases, and purchasesRead what is put in order for it.
const purchasesShown, purchasesRead = 100, 5_000

func (c *Console) purchases(q *request) error {
	page := purchasesPage{Transaction: q.param("transaction"), Player: q.param("player")}
	var err error
	switch {
	case page.Transaction != "":
		page.Found, err = c.purchasesBy(q.Context(), "purchases WHERE transaction_id = $1", page.Transaction)
	case page.Player != "":
		page.Found, err = c.purchasesBy(q.Context(), "purchases WHERE app_user_id = $1 OR buyer = $1 AND buyer <> app_user_id", page.Player)
	default:
		page.Unknown, err = c.purchasesBy(q.Context(), "purchases_of_unknown_products")
	}
	if err != nil {
		return err
	}
	return c.show(q, "purchases", "Purchases", page)
}

// purchasesBy reads purchases from what an index finds. Their keys come first, so that
// what a purchase is stays one reader's business.
func (c *Console) purchasesBy(ctx context.Context, from string, args ...any) ([]purchases.Recorded, error) {
	var keys []struct {
		Transaction string `db:"transaction_id"`
		Store       string `db:"store"`
		Environment string `db:"environment"`
	}
	if err := c.db.SelectContext(ctx, &keys, fmt.Sprintf(`SELECT transaction_id, store, environment
		FROM (SELECT * FROM %s LIMIT %d) AS few ORDER BY recorded_at DESC LIMIT %d`, from, purchasesRead, purchasesShown), args...); err != nil {
		return nil, fmt.Errorf("search purchases: %w", err)
	}
	list := make([]purchases.Recorded, 0, len(keys))
	for _, key := range keys {
		p, err := c.Purchases.Purchase(ctx, economy.PurchaseKey{Store: economy.Store(key.Store), Environment: economy.Environment(key.Environment), TransactionID: key.Transaction})
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// purchasePage is what purchase.html shows.
type purchasePage struct {
	purchases.Recorded
	Said []purchases.Said
}

func (c *Console) purchase(q *request) error {
	key := economy.PurchaseKey{Store: economy.Store(q.param("store")), Environment: economy.Environment(q.param("environment")), TransactionID: q.param("transaction")}
	p, err := c.Purchases.Purchase(q.Context(), key)
	if errors.Is(err, purchases.ErrNotFound) {
		return missing("There is no %s.", mask(key.String()))
	}
	if err != nil {
		return err
	}
	said, err := c.Purchases.Versions(q.Context(), key)
	if err != nil {
		return err
	}
	return c.show(q, "purchase", "Purchase "+mask(key.TransactionID), purchasePage{p, said})
}

func (c *Console) purchaseRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"purchases", c.page(c.purchases))
	c.route(mux, "GET "+Path+"purchases/show", c.page(c.purchase))
}
