package spendapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// claimsPendingMax is how many claims of one player may be pending. A player buys one
	// thing at a time, and a webhook comes within a minute or so; each claim that waits
	// longer is a reading at the provider, which allows few. Who has more on a new device
	// restores: that is one reading for all.
	claimsPendingMax = 10
	// claimsRetry is when to come back with too many: claims are settled in minutes.
	claimsRetry = time.Minute
	// claimRetry is when to look again at a claim that is pending.
	claimRetry = 5 * time.Second
)

// Claims is what claims and restores need to know; purchases.Store tells it.
type Claims interface {
	// ClaimOf returns purchases.ErrNotFound for a transaction that the player did not claim.
	ClaimOf(ctx context.Context, appUserID string, store economy.Store, transactionID string) (economy.Claim, error)
	JudgeClaim(ctx context.Context, claim economy.Claim, now time.Time) (economy.Claim, error)
	ResyncRequest(ctx context.Context, appUserID string, reason events.ResyncReason) (purchases.ResyncRequest, purchases.ResyncState, error)
}

// postClaim is POST /purchases/claims: the app says that the player bought
// something. It gives nothing. What the purchase would bring is shown as pending
// until a webhook, or the provider when we ask it, confirms the claim or nobody
// knows of the purchase; claim_answer.go says which status means what.
//
// The transaction is the key: claiming it again tells how the claim stands now,
// whatever product is named then. A claim that was rejected may still be confirmed
// when the provider tells of the purchase later.
func (a *API) postClaim(x *exchange, r *http.Request) *problem {
	if !isJSON(r.Header["Content-Type"]) {
		return problemf(UnsupportedMediaType, "Send the header Content-Type: application/json.")
	}
	player, p := a.player(x, r)
	if p != nil {
		return p
	}
	claim, p := readClaim(x.ResponseWriter, r)
	if p != nil {
		return p
	}
	claim.ID, claim.AppUserID, claim.ClaimedAt, claim.State = a.newID(), player, a.moment(), economy.ClaimPending
	if p := sold(a.catalog(), claim); p != nil {
		return a.claimedBefore(x, r, claim, p)
	}
	return a.claim(x, r, claim)
}

// moment is now, in what PostgreSQL keeps: microseconds.
func (a *API) moment() time.Time { return a.now().UTC().Truncate(time.Microsecond) }

// claim commits a claim and, while it is pending, the wish to ask the provider. A
// purchase that is known already settles it from the start: nothing would come that
// does so later.
func (a *API) claim(x *exchange, r *http.Request, claim economy.Claim) *problem {
	ctx, cancel := context.WithTimeout(r.Context(), acceptPatience)
	defer cancel()
	judged, err := a.claims.JudgeClaim(ctx, claim, claim.ClaimedAt)
	if err != nil {
		return noSpend(failed(r.Context(), err))
	}
	effects := outbox.Effects{Guard: purchases.Claimed{Claim: judged, PendingMax: claimsPendingMax}, Owner: claim.AppUserID, Intake: true}
	if judged.State == economy.ClaimPending {
		effects.Events = []events.Event{events.NewCustomerResyncRequested(events.Store, events.ResyncClaim, claim.ID, claim.AppUserID, claim.ClaimedAt)}
	}
	switch result, err := a.committer.Commit(ctx, effects); {
	case err != nil:
		return noSpend(commitFailed(r.Context(), err))
	case result == outbox.Applied:
		return a.tellClaim(x, judged)
	case result == outbox.Duplicate:
		return a.claimedBefore(x, r, claim, nil)
	}
	return tooManyClaims()
}

func tooManyClaims() *problem {
	p := problemf(TooManyOpenClaims, "The player has %d claims that nobody has confirmed yet, and may have no more. POST /purchases/restore asks for all purchases at once.", claimsPendingMax)
	p.retryAfter = claimsRetry
	return p
}

// claimedBefore tells how the player's claim of the same transaction stands, after
// settling it if it can be. none is the problem when there is no such claim.
func (a *API) claimedBefore(x *exchange, r *http.Request, again economy.Claim, none *problem) *problem {
	ctx, cancel := context.WithTimeout(r.Context(), acceptPatience)
	defer cancel()
	claim, err := a.claims.ClaimOf(ctx, again.AppUserID, again.Store, again.TransactionID)
	switch {
	case errors.Is(err, purchases.ErrNotFound) && none != nil:
		return none
	case err != nil:
		return noSpend(failed(r.Context(), err))
	}
	judged, err := a.claims.JudgeClaim(ctx, claim, again.ClaimedAt)
	if err != nil {
		return noSpend(failed(r.Context(), err))
	}
	if judged != claim {
		if _, err := a.committer.Commit(ctx, outbox.Effects{Guard: purchases.SettledAlone{Claim: judged}, Owner: claim.AppUserID}); err != nil {
			return noSpend(commitFailed(r.Context(), err))
		}
	}
	return a.tellClaim(x, judged)
}

// sold refuses a claim of what the catalogue does not sell.
func sold(catalog economy.Catalog, claim economy.Claim) *problem {
	if _, ok := catalog.PackageOf(claim.Store, claim.ProductID); ok {
		return nil
	}
	for _, p := range catalog.Packages {
		if len(p.Products[claim.Store]) > 0 {
			return problemf(UnknownProduct, "The catalogue has no package that is sold as %s in %s. Send the product's id as the store writes it.", short(claim.ProductID), claim.Store)
		}
	}
	return problemf(UnknownStore, "The catalogue sells nothing in %s. Send the store as the provider writes it, such as app_store or play_store.", claim.Store)
}

// short keeps what a client sent from coming back to it by the kilobyte.
func short(s string) string {
	if len(s) > 100 {
		return "an id of that length"
	}
	return `"` + s + `"`
}

// noSpend puts a problem of the service, which speaks of spends, in words for what
// has no idempotency key.
func noSpend(p *problem) *problem {
	if p.kind != nil {
		p.detail = "Send the same request again: it does the same thing once."
	}
	return p
}
