package resync

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// ClaimTimes says when the provider is asked about a claim. Zero fields take the
// defaults.
type ClaimTimes struct {
	// Webhook is how long a claim waits for its webhook before the provider is asked,
	// and then again whenever it has become twice as old.
	Webhook time.Duration
	// Patience is the age from which on a claim that the provider does not know is
	// rejected. If the purchase turns up later after all, its fold confirms the claim.
	Patience time.Duration
}

// The defaults of ClaimTimes: most webhooks come within a minute (RevenueCat docs,
// Webhooks), and a store that a purchase was made at has told the provider in an hour.
const (
	ClaimWebhookDefault  = 30 * time.Second
	ClaimPatienceDefault = time.Hour
)

func (t ClaimTimes) webhook() time.Duration  { return cmp.Or(t.Webhook, ClaimWebhookDefault) }
func (t ClaimTimes) patience() time.Duration { return cmp.Or(t.Patience, ClaimPatienceDefault) }

// checks returns the age at which the provider was to be asked last, and the one at
// which it is to be asked next. last 0: not yet at all. Both are at most the patience,
// which is the last check.
func (t ClaimTimes) checks(age time.Duration) (last, next time.Duration) {
	next = min(t.webhook(), t.patience())
	for next <= age && next < t.patience() {
		last, next = next, min(2*next, t.patience())
	}
	if age >= t.patience() {
		return t.patience(), t.patience()
	}
	return last, next
}

// errNotYetKnown says that nobody but the player has told of a purchase.
var errNotYetKnown = errors.New("nobody has told of the claimed purchase yet")

// settleClaim asks the provider about a claim whose webhook did not come: first for
// all of its customer, then for the one transaction, which may be somebody else's.
// What it tells is recorded, and settles the claim. One that it definitely does not
// know is rejected when its time is over.
func (c *Consumer) settleClaim(ctx context.Context, event events.Event, claim economy.Claim) (outbox.Effects, error) {
	done := outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}}
	if claim.State != economy.ClaimPending {
		return done, nil
	}
	age := c.Now().Sub(claim.ClaimedAt)
	last, next := c.Claims.checks(age)
	if last == 0 {
		return outbox.Effects{}, later{errNotYetKnown, next - age}
	}
	asOf := event
	asOf.Time = claim.ClaimedAt.Add(last - skewMax)               // a reading since then answers this check
	if err := c.readOnce(ctx, asOf); consumers.IsPermanent(err) { // the transaction may be known all the same
		c.Log.WarnContext(ctx, "the claimant cannot be read, or not all be recorded", "event_id", event.ID, "error", err)
	} else if err != nil {
		return outbox.Effects{}, err
	}
	judged, err := c.Store.JudgeClaim(ctx, claim, c.Now())
	if err != nil {
		return outbox.Effects{}, err
	}
	exists := false
	if judged == claim { // not among what the claimant bought
		if exists, err = c.find(ctx, event, claim); err != nil {
			return outbox.Effects{}, err
		}
		if judged, err = c.Store.JudgeClaim(ctx, claim, c.Now()); err != nil {
			return outbox.Effects{}, err
		}
	}
	switch {
	case judged != claim:
		return outbox.Effects{Guard: purchases.SettledAlone{Claim: judged}, Owner: claim.AppUserID}, nil
	case age < c.Claims.patience():
		return outbox.Effects{}, later{errNotYetKnown, next - age}
	case exists: // and nobody tells what it is of: no reason to reject
		return done, nil
	}
	claim.State, claim.Reason, claim.SettledAt = economy.ClaimRejected, economy.ClaimUnknown, c.Now()
	return outbox.Effects{Guard: purchases.SettledAlone{Claim: claim}, Owner: claim.AppUserID}, nil
}

// find asks the provider for a transaction, whoever's it is, and records it. False is
// definite: the provider searched, and has none.
func (c *Consumer) find(ctx context.Context, event events.Event, claim economy.Claim) (bool, error) {
	f := found{startedAt: c.Now()}
	sales, err := c.Reader.FindPurchases(ctx, claim.AppUserID, claim.TransactionID)
	if err != nil {
		return false, failed(err)
	}
	subscriptions, err := c.Reader.FindSubscriptions(ctx, claim.AppUserID, claim.TransactionID)
	if err != nil {
		return false, failed(err)
	}
	sales = slices.DeleteFunc(sales, func(p revenuecat.Purchase) bool { return p.Store != claim.Store })
	subscriptions = slices.DeleteFunc(subscriptions, func(s revenuecat.Subscription) bool { return s.Store != claim.Store })
	if err := c.tell(ctx, claim.AppUserID, sales, subscriptions, &f); err != nil {
		return false, err
	}
	_, problems, err := c.recordFacts(ctx, event.Lane, f.facts)
	if err != nil {
		return false, err
	}
	if problems != nil {
		return false, consumers.Permanent(problems)
	}
	return len(sales)+len(subscriptions) > 0, nil
}
