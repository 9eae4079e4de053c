package purchases

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// accessOf is an access, with the customer it is folded for.
type accessOf struct {
	CustomerID    string     `db:"customer_id" json:"customer_id"`
	Module        string     `db:"module" json:"module"`
	ExpiresAt     *time.Time `db:"expires_at" json:"expires_at"`
	State         string     `db:"state" json:"state"`
	Cause         string     `db:"cause" json:"cause"`
	Store         string     `db:"store" json:"store"`
	Environment   string     `db:"environment" json:"environment"`
	TransactionID string     `db:"transaction_id" json:"transaction_id"`
}

func (a accessOf) access() economy.Access {
	return economy.Access{
		Module: a.Module, ExpiresAt: moment(a.ExpiresAt), State: economy.AccessState(a.State), Cause: a.Cause,
		Purchase: economy.PurchaseKey{Store: economy.Store(a.Store), Environment: economy.Environment(a.Environment), TransactionID: a.TransactionID},
	}
}

const accessColumns = "customer_id, module, expires_at, state, cause, store, environment, transaction_id"

// Accesses returns what a player may use at a moment, one per module, sorted by it.
func (s *Store) Accesses(ctx context.Context, appUserID string, at time.Time) ([]economy.Access, error) {
	customer, err := s.Customer(ctx, appUserID)
	if err != nil {
		return nil, err
	}
	var rows []accessOf
	// Until a merge is folded, its ids have rows of their own: the best of each module counts.
	err = s.db.SelectContext(ctx, &rows, `SELECT DISTINCT ON (module) `+accessColumns+` FROM accesses
		WHERE customer_id = ANY($1) AND state = 'granted' AND (expires_at IS NULL OR expires_at > $2)
		ORDER BY module, expires_at DESC NULLS FIRST`, postgres.Array(customer.AppUserIDs), at)
	if err != nil {
		return nil, fmt.Errorf("read accesses: %w", err)
	}
	list := make([]economy.Access, len(rows))
	for i, row := range rows {
		list[i] = row.access()
	}
	return list, nil
}

// Items returns how many of each item purchases brought to a player and left there.
// Spends bring items too: see books.Inventory.
func (s *Store) Items(ctx context.Context, appUserID string) (map[string]int64, error) {
	customer, err := s.Customer(ctx, appUserID)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Name     string `db:"name"`
		Quantity int64  `db:"quantity"`
	}
	err = s.db.SelectContext(ctx, &rows, `SELECT name, sum(quantity)::bigint AS quantity FROM purchase_grants
		WHERE customer_id = ANY($1) AND kind = 'item' GROUP BY name HAVING sum(quantity) <> 0`, postgres.Array(customer.AppUserIDs))
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	items := make(map[string]int64, len(rows))
	for _, row := range rows {
		items[row.Name] = row.Quantity
	}
	return items, nil
}
