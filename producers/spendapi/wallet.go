package spendapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// wallet is the answer of GET /wallet.
type wallet struct {
	Balances map[economy.Currency]balance `json:"balances"`
}

// balance is one currency in a wallet.
type balance struct {
	Balance economy.Amount `json:"balance"`
	Pending economy.Amount `json:"pending"` // what the player says to have bought and nobody else has told of yet
	AsOf    time.Time      `json:"as_of"`   // when the provider said so
	Name    string         `json:"name"`    // the provider's name of the currency; its code until we have read one
}

// errNeverRead says why there is no balance to show.
var errNeverRead = errors.New("no reading of the balance yet")

// getWallet is GET /wallet: our copy of the player's balances, refreshed from the
// provider before it is shown, at most once in three seconds. When the provider
// cannot be asked, the copy is shown as it is: `as_of` tells its age. A player
// whose balance was never read is 503 then, because an empty wallet would tell
// them that their gems are gone; one whom the provider does not know has none, and
// gets an empty one.
func (a *API) getWallet(x *exchange, r *http.Request) *problem {
	player, p := a.player(x, r)
	if p != nil {
		return p
	}
	refreshed := a.wallets.refresh(r.Context(), player)
	ctx, cancel := context.WithTimeout(r.Context(), readOnePatience)
	defer cancel()
	kept, err := a.books.Balances(ctx, player)
	if err != nil {
		return failed(r.Context(), err)
	}
	if len(kept) == 0 && refreshed.err != nil {
		p := problemf(BalanceUnavailable, "The balance was never read before, and the provider cannot be asked now.")
		p.retryAfter, p.cause = walletEvery, errors.Join(errNeverRead, refreshed.err)
		return p
	}
	outcome := "read"
	if refreshed.err != nil {
		outcome = "read_stale"
	}
	pending, err := a.pending(ctx, player)
	if err != nil {
		return failed(r.Context(), err)
	}
	return x.json(outcome, a.wallets.show(kept, refreshed, pending))
}

// show puts the copy together with what the refresh said about currencies the
// copy does not have: a reading made while an adjustment was open is not kept.
// A currency that is pending and in neither is one the player has nothing of.
func (w *wallets) show(kept []books.Balance, refreshed *refresh, pending economy.Amounts) wallet {
	out := wallet{Balances: make(map[economy.Currency]balance, len(kept))}
	names := *w.names.Load()
	for currency, amount := range refreshed.reading.Balances {
		out.Balances[currency] = balance{Balance: amount, AsOf: refreshed.reading.StartedAt.UTC(), Name: cmp.Or(names[currency], string(currency))}
	}
	for _, b := range kept {
		out.Balances[b.Currency] = balance{Balance: b.Balance, AsOf: b.AsOf.UTC(), Name: cmp.Or(names[b.Currency], string(b.Currency))}
	}
	for currency, amount := range pending {
		it, known := out.Balances[currency]
		if !known {
			it = balance{AsOf: asOf(kept, refreshed), Name: cmp.Or(names[currency], string(currency))}
		}
		it.Pending = amount
		out.Balances[currency] = it
	}
	return out
}

// asOf is the age of what a wallet says as a whole: that of its oldest balance.
func asOf(kept []books.Balance, refreshed *refresh) time.Time {
	oldest := refreshed.reading.StartedAt
	for _, b := range kept {
		if oldest.IsZero() || b.AsOf.Before(oldest) {
			oldest = b.AsOf
		}
	}
	return oldest.UTC()
}
