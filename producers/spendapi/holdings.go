package spendapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// Purchases reads what purchases made with money brought; purchases.Store does.
type Purchases interface {
	// Accesses returns what a player may use at a moment, sorted by module.
	Accesses(ctx context.Context, appUserID string, at time.Time) ([]economy.Access, error)
	// Items returns how many of each item purchases brought and left there.
	Items(ctx context.Context, appUserID string) (map[string]int64, error)
	// PendingClaims returns the player's claims that nobody else has told of yet.
	PendingClaims(ctx context.Context, appUserID string) ([]economy.Claim, error)
}

// inventory is the answer of GET /inventory.
type inventory struct {
	Items    []books.Held `json:"items"`
	Accesses []accessView `json:"accesses"`
}

// accessView is an access in an inventory.
type accessView struct {
	Module    string     `json:"module"`
	ExpiresAt *time.Time `json:"expires_at"` // null: never
}

// getInventory is GET /inventory: the items that spends and purchases brought, and
// the modules that may be used now.
func (a *API) getInventory(x *exchange, r *http.Request) *problem {
	player, p := a.player(x, r)
	if p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), readOnePatience)
	defer cancel()
	held, err := a.books.Inventory(ctx, player)
	if err != nil {
		return failed(r.Context(), err)
	}
	bought, err := a.purchases.Items(ctx, player)
	if err != nil {
		return failed(r.Context(), err)
	}
	accesses, err := a.purchases.Accesses(ctx, player, a.now())
	if err != nil {
		return failed(r.Context(), err)
	}
	return x.json("read", inventory{allItems(held, bought), views(accesses)})
}

// allItems adds up both sources, sorted by item. A sum below zero, of what was used
// up and then refunded, is shown as 0.
func allItems(held []books.Held, bought map[string]int64) []books.Held {
	sums := make(map[string]int64, len(held)+len(bought))
	for _, h := range held {
		sums[h.Item] += h.Quantity
	}
	for item, quantity := range bought {
		sums[item] += quantity
	}
	list := make([]books.Held, 0, len(sums))
	for item, quantity := range sums {
		list = append(list, books.Held{Item: item, Quantity: max(0, quantity)})
	}
	slices.SortFunc(list, func(a, b books.Held) int { return strings.Compare(a.Item, b.Item) })
	return list
}

func views(accesses []economy.Access) []accessView {
	list := make([]accessView, len(accesses))
	for i, access := range accesses {
		list[i].Module = access.Module
		if !access.ExpiresAt.IsZero() {
			list[i].ExpiresAt = &access.ExpiresAt
		}
	}
	return list
}

// pending returns what the player's claims would bring, by the current catalogue,
// once somebody else tells of them. None of it can be spent.
func (a *API) pending(ctx context.Context, player string) (economy.Amounts, error) {
	claims, err := a.purchases.PendingClaims(ctx, player)
	if err != nil || len(claims) == 0 {
		return nil, err
	}
	catalog, sum := a.catalog(), economy.Amounts{}
	for _, claim := range claims {
		if bundle, ok := catalog.PackageOf(claim.Store, claim.ProductID); ok {
			sum = sum.Plus(bundle.Credits)
		}
	}
	return sum, nil
}
