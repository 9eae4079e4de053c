package purchases

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
)

const claimColumns = "id, app_user_id, store, transaction_id, product_id, state, reason, claimed_at, settled_at"

type claimRow struct {
	ID            string     `db:"id" json:"id"`
	AppUserID     string     `db:"app_user_id" json:"app_user_id"`
	Store         string     `db:"store" json:"store"`
	TransactionID string     `db:"transaction_id" json:"transaction_id"`
	ProductID     string     `db:"product_id" json:"product_id"`
	State         string     `db:"state" json:"state"`
	Reason        string     `db:"reason" json:"reason"`
	ClaimedAt     time.Time  `db:"claimed_at" json:"claimed_at"`
	SettledAt     *time.Time `db:"settled_at" json:"settled_at"`
}

func (r claimRow) claim() economy.Claim {
	return economy.Claim{
		ID: r.ID, AppUserID: r.AppUserID, Store: economy.Store(r.Store), TransactionID: r.TransactionID, ProductID: r.ProductID,
		State: economy.ClaimState(r.State), Reason: r.Reason, ClaimedAt: r.ClaimedAt.UTC(), SettledAt: moment(r.SettledAt),
	}
}

// ClaimOf returns a player's claim of a transaction, or ErrNotFound.
func (s *Store) ClaimOf(ctx context.Context, appUserID string, store economy.Store, transactionID string) (economy.Claim, error) {
	return s.oneClaim(ctx, "SELECT "+claimColumns+" FROM claims WHERE app_user_id = $1 AND store = $2 AND transaction_id = $3",
		appUserID, string(store), transactionID)
}

// Claim returns a claim by its id, or ErrNotFound.
func (s *Store) Claim(ctx context.Context, id string) (economy.Claim, error) {
	if uuid.Validate(id) != nil {
		return economy.Claim{}, ErrNotFound
	}
	return s.oneClaim(ctx, "SELECT "+claimColumns+" FROM claims WHERE id = $1", id)
}

// PendingClaims returns a player's claims that wait, oldest first.
func (s *Store) PendingClaims(ctx context.Context, appUserID string) ([]economy.Claim, error) {
	return claims(ctx, s.db, "SELECT "+claimColumns+" FROM claims WHERE app_user_id = $1 AND state = 'pending' ORDER BY claimed_at, id", appUserID)
}

func (s *Store) oneClaim(ctx context.Context, query string, args ...any) (economy.Claim, error) {
	list, err := claims(ctx, s.db, query, args...)
	if err != nil {
		return economy.Claim{}, err
	}
	if len(list) == 0 {
		return economy.Claim{}, ErrNotFound
	}
	return list[0], nil
}

func claims(ctx context.Context, db sqlx.QueryerContext, query string, args ...any) ([]economy.Claim, error) {
	var rows []claimRow
	if err := sqlx.SelectContext(ctx, db, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	list := make([]economy.Claim, len(rows))
	for i, row := range rows {
		list[i] = row.claim()
	}
	return list, nil
}
