package revenuecat

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

// Request is one adjustment as it was stored before the first call. A retry
// uses the same key and the same bytes.
type Request struct {
	AppUserID      string // 1 to 1,500 characters (RevenueCat API v2, customer_id)
	IdempotencyKey string // never used for another customer or another body
	CreateCustomer bool   // a customer the provider does not know is created, and the request sent once more
	Body           []byte // sent as it is; see Body
}

// adjustment is the body of a transaction. It may hold nothing else: the
// provider refuses members it does not know.
type adjustment struct {
	Adjustments economy.Amounts `json:"adjustments"`
	Reference   string          `json:"reference,omitempty"`
}

// Body builds the body of an adjustment: signed changes by currency, sorted, so
// that the same changes give the same bytes. A change of zero is left out. The
// reference is a note for people; RevenueCat returns it nowhere.
func Body(deltas economy.Amounts, reference string) []byte {
	changes := make(economy.Amounts, len(deltas))
	for currency, amount := range deltas {
		if amount != 0 {
			changes[currency] = amount
		}
	}
	body, err := json.Marshal(adjustment{Adjustments: changes, Reference: reference})
	if err != nil {
		panic("revenuecat: a body of numbers and a string did not marshal: " + err.Error())
	}
	return body
}

// Adjust sends r once and classifies what came of it. When the provider does
// not know the customer (404) and r asks for it, the customer is created and r
// sent once more; a credit to a customer who was deleted is Refused instead. The
// same key and bytes again change nothing at the provider once they were applied.
//
// An Insufficient or Refused outcome of a request that was sent before and
// ended Unknown relies on the provider knowing the key of what it has applied
// (RevenueCat docs, In-App Currency: a key is executed at most once).
// Source: RevenueCat API v2, Create a virtual currencies transaction.
func (c *Client) Adjust(ctx context.Context, r Request) economy.Outcome {
	if why := r.invalid(); why != "" {
		return economy.Outcome{Kind: economy.Refused, Detail: "not sent: " + why}
	}
	deltas := r.deltas()
	first := c.sendAdjustment(ctx, r)
	if first.status != http.StatusNotFound || !r.CreateCustomer {
		outcome := classify(first, deltas)
		c.report(ctx, OpAdjust, first, outcome.Kind)
		return outcome
	}
	c.report(ctx, OpAdjust, first, "")
	if outcome, ok := c.createCustomer(ctx, r.AppUserID); !ok {
		return outcome
	}
	second := c.sendAdjustment(ctx, r)
	outcome := classify(second, deltas)
	c.report(ctx, OpAdjust, second, outcome.Kind)
	return outcome
}

func (c *Client) sendAdjustment(ctx context.Context, r Request) answer {
	return c.call(ctx, outgoing{
		op:       OpAdjust,
		method:   http.MethodPost,
		path:     customerPath(r.AppUserID) + "/virtual_currencies/transactions?include_empty_balances=true",
		key:      r.IdempotencyKey,
		body:     r.Body,
		customer: r.AppUserID,
	})
}

// invalid says what keeps a request from ever being sent; "" when nothing does.
func (r Request) invalid() string {
	switch {
	case !validCustomer(r.AppUserID):
		return "the player id cannot be part of an address"
	case r.IdempotencyKey == "":
		return "there is no idempotency key"
	case len(r.Body) == 0:
		return "the body is empty"
	}
	return ""
}

// deltas reads the changes back from the stored bytes; nil when they cannot be read.
func (r Request) deltas() economy.Amounts {
	var a adjustment
	if json.Unmarshal(r.Body, &a) != nil {
		return nil
	}
	return a.Adjustments
}

// customerMax is the longest customer id (RevenueCat API v2, customer_id).
const customerMax = 1500

// validCustomer holds back the ids that would address something else: an empty
// segment, and the two that servers resolve as folders.
func validCustomer(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= customerMax
}

func customerPath(id string) string { return "/customers/" + escapeSegment(id) }
