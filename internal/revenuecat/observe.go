package revenuecat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Op names a call of the provider's API.
type Op string

// The calls we make.
const (
	OpAdjust         Op = "adjust"
	OpCreateCustomer Op = "create_customer"
	OpBalances       Op = "balances"

	OpCustomer          Op = "customer"
	OpAliases           Op = "aliases"
	OpPurchases         Op = "purchases"
	OpSubscriptions     Op = "subscriptions"
	OpTransactions      Op = "subscription_transactions"
	OpFindPurchases     Op = "find_purchases"
	OpFindSubscriptions Op = "find_subscriptions"
	OpProducts          Op = "products"
	OpProduct           Op = "product"
)

func (o Op) domain() Domain {
	switch o {
	case OpAdjust:
		return Transactions
	case OpProducts, OpProduct:
		return ProjectConfiguration
	default:
		return CustomerInformation
	}
}

// Call is one HTTP call as metrics and logs see it. A call that the gate held
// back is none. No member holds a player's id or the key.
type Call struct {
	Op        Op
	Domain    Domain
	Status    int // HTTP status; 0: no answer
	Code      string
	Outcome   economy.OutcomeKind // of OpAdjust; empty when a 404 led to creating the customer
	Duration  time.Duration
	RequestID string // the provider's X-Request-Id, when it sent one
	Detail    string
	GaveUp    bool // Status 0: it was the caller who ended the call

	// What the answer tells about the domain's limit.
	Limit int           // calls a minute the provider allows; 0: it did not say
	Used  int           // calls it counted in this minute, this one included, when Limit is not 0
	Pause time.Duration // no call of the domain may start for so long; 0: it asked for none
}

// report tells the observer and the debug log about a call that was made.
func (c *Client) report(ctx context.Context, op Op, a answer, outcome economy.OutcomeKind) {
	if !a.attempted {
		return
	}
	call := Call{
		Op: op, Domain: op.domain(), Status: a.status, Code: a.code, Outcome: outcome,
		Duration: a.took, RequestID: a.requestID, Detail: a.detail, GaveUp: errors.Is(a.cause, context.Canceled),
		Limit: a.told.limit, Used: a.told.used, Pause: a.told.pause,
	}
	c.observe(call)
	c.log.LogAttrs(ctx, slog.LevelDebug, "revenuecat call",
		slog.String("op", string(op)), slog.Int("status", a.status), slog.String("code", a.code),
		slog.String("outcome", string(outcome)), slog.Time("started_at", a.started), slog.Int64("duration_ms", a.took.Milliseconds()),
		slog.String("request_id", a.requestID), slog.String("detail", a.detail))
}
