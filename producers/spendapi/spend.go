package spendapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// acceptPatience bounds acceptance. The committer answers within its own patience
	// of 5 s when PostgreSQL is gone; this is for one that hangs.
	acceptPatience = 10 * time.Second
	// readOnePatience bounds reading one spend or one player's rows.
	readOnePatience = 3 * time.Second
	// overloadedRetry is when to come back when new spends are refused.
	overloadedRetry = time.Second
	// openRetry is when to come back with too many spends open. The provider settles
	// a player's spends together, so room comes at once or not for a while.
	openRetry = 5 * time.Second
	// detailMax keeps what a client sent from coming back to it by the kilobyte.
	detailMax = 500
)

// askSpend reads POST /spend: the session's player, the item and the key.
func (a *API) askSpend(x *exchange, r *http.Request) (order, *problem) {
	player, p := a.spender(x, r)
	if p != nil {
		return order{}, p
	}
	request, p := readSpendRequest(x.ResponseWriter, r)
	if p != nil {
		return order{}, p
	}
	return a.priced(player, request.item, request.quantity, request.key), nil
}

// spender returns the player, if they may spend.
func (a *API) spender(x *exchange, r *http.Request) (string, *problem) {
	player, p := a.session(x, r)
	if p != nil {
		return "", p
	}
	if anonymous(player) {
		return "", mayNotSpend()
	}
	return player, a.limit(player)
}

func mayNotSpend() *problem {
	return problemf(AnonymousPlayer, "Gems of an anonymous player are lost with the app. Log the player in with an App User ID of the game's own first.")
}

// priced returns the order of a spend at today's price.
func (a *API) priced(player, item string, quantity int64, key string) order {
	now := a.now()
	o := order{
		spend: economy.Spend{
			ID: a.newID(), AppUserID: player, IdempotencyKey: key, Item: item, Quantity: quantity,
			State: economy.Requested, AcceptedAt: now,
		},
		same: func(before economy.Spend) bool { return before.SameRequest(item, quantity) },
	}
	quote, err := a.catalog().Quote(item, quantity, now)
	if err != nil {
		o.refused = refusal(err)
		return o
	}
	if what := a.paused(item, quote.Cost); what != "" {
		o.refused = problemf(ItemPaused, "The %s is paused. Spends that were accepted before go on.", what)
		return o
	}
	o.spend.Cost, o.spend.CatalogVersion = quote.Cost, quote.CatalogVersion
	o.limit = quote.Item.PlayerLimit
	o.spend.Limited = o.limit > 0
	return o
}

// refusal turns a refusal of the catalogue into its problem.
func refusal(err error) *problem {
	kind := Internal
	for _, known := range []struct {
		err  error
		kind *ProblemType
	}{
		{economy.ErrUnknownItem, UnknownItem}, {economy.ErrQuantity, BadQuantity}, {economy.ErrItemPaused, ItemPaused},
		{economy.ErrNotYetOnSale, NotYetOnSale}, {economy.ErrNoLongerOnSale, NoLongerOnSale},
	} {
		if errors.Is(err, known.err) {
			kind = known.kind
		}
	}
	if len(err.Error()) > detailMax { // the item's name is the client's
		return problemf(kind, "%s: %d bytes are no item's id.", kind.Title, len(err.Error()))
	}
	return problemf(kind, "%v.", err)
}
