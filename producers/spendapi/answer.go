package spendapi

import (
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

// workingRetry is when to look again at a spend that is still under way, in
// seconds.
var workingRetry = []string{"1"}

// answer tells how a spend stands. It is the same for a new spend and for a
// repeated key: 402 stays 402.
//
//	fulfilled                      200 {"ok":true,"spend":{...},"granted":[{"item","quantity"}]}
//	requested, charged, refunding  202 {"spend":{...}}, Location: /spends/{id}
//	declined, insufficient_funds   402 insufficient-funds
//	declined, provider_refused     502 provider-refused
//	declined, cancelled            403 spend-cancelled
//	refunded, hand_over_refused    500 item-not-handed-over
//	refunded, operator_refund      403 spend-refunded
//
// A grant has `grant` for `spend`, nothing `granted`, and declined,
// provider_refused is 502 grant-refused.
//
// The 202 has no `ok`: that word means "the item is yours". A cancelled spend is
// 403, as every other "we do not sell you this" is: the app shows the text, does
// not try again with this key, and nothing was charged. Not 409, which says that
// the app has a bug, nor 410, which would say that the spend is not there. So is one
// that an operator refunded: nothing failed, and no server is to blame.
//
// waited says that there was a place to wait in: if not, the client is not told
// that its `wait` was honoured, unless it could not have been in vain.
func answer(x *exchange, spend economy.Spend, prefer preference, waited bool) *problem {
	x.spendID = spend.ID
	prefer.hasWait = prefer.hasWait && (waited || prefer.wait == 0 || spend.State.Final())
	if applied := prefer.applied(); applied != "" {
		x.Header()["Preference-Applied"] = []string{applied}
	}
	if p := outcomeProblem(spend); p != nil {
		return p
	}
	body := takeBuffer()
	defer body.give()
	if spend.State == economy.Fulfilled {
		x.outcome = "fulfilled"
		body.b = append(body.b, `{"ok":true,`...)
		body.b = appendMember(body.b, spend)
		if spend.Kind == economy.KindSpend {
			body.b = append(body.b, `,"granted":`...)
			body.b = appendGranted(body.b, spend)
		}
		body.b = append(body.b, '}')
		x.send(http.StatusOK, typeJSON, body.b)
		return nil
	}
	x.outcome = "working"
	x.Header()["Location"] = []string{"/spends/" + spend.ID}
	x.Header()["Retry-After"] = workingRetry
	body.b = append(body.b, '{')
	body.b = appendMember(body.b, spend)
	body.b = append(body.b, '}')
	x.send(http.StatusAccepted, typeJSON, body.b)
	return nil
}

// outcomeProblem returns the problem that a spend ended in, nil for one that is
// fulfilled or still under way.
func outcomeProblem(spend economy.Spend) *problem {
	var p *problem
	switch {
	case spend.State == economy.Refunded && spend.Reason == economy.OperatorRefund:
		p = problemf(SpendRefunded, "The item was handed over. Later it was taken back, and %s were given back.", spend.Cost)
	case spend.State == economy.Refunded:
		p = problemf(ItemNotHandedOver, "The spend was charged, the item could not be handed over, and %s were given back.", spend.Cost)
	case spend.State != economy.Declined:
		return nil
	case spend.Reason == economy.InsufficientFunds:
		p = problemf(InsufficientFunds, "The spend costs %s, more than the balance. Nothing was charged.", spend.Cost)
	case spend.Kind == economy.KindGrant && spend.Reason == economy.Cancelled:
		p = problemf(SpendCancelled, "The grant was cancelled before anything was given.")
	case spend.Reason == economy.Cancelled:
		p = problemf(SpendCancelled, "The spend was cancelled before it was charged. Nothing was charged.")
	case spend.Kind == economy.KindGrant:
		p = problemf(GrantRefused, "The provider of the balance refused the grant for good: it has no such currency, can have no such customer, or the balance would exceed what it can hold. Nothing was given.")
	default: // provider_refused
		p = problemf(ProviderRefused, "The provider of the balance refused the charge for good. Nothing was charged.")
	}
	p.spend = &spend
	return p
}
