package revenuecat

import (
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

// classify turns what came of a transaction call into an outcome. It is pure.
// deltas are the changes of the request; nil when they are not known.
func classify(a answer, deltas economy.Amounts) economy.Outcome {
	outcome := economy.Outcome{
		Kind: kindOf(a, deltas), Status: a.status, Code: a.code, Detail: a.detail,
	}
	switch outcome.Kind {
	case economy.Applied:
		outcome.Balances = touched(a, deltas)
	case economy.Temporary, economy.Unknown:
		outcome.RetryAfter = a.wait
	case economy.Insufficient, economy.Refused: // said all there is
	}
	return outcome
}

// kindOf holds the table of the package comment. What the provider does not
// document for this call is unknown: that costs a retry with the same key,
// and a wrong "not applied" would cost a player's gems.
func kindOf(a answer, deltas economy.Amounts) economy.OutcomeKind {
	switch a.status {
	case http.StatusOK:
		return economy.Applied // a 200 that cannot be read was applied, too
	case http.StatusBadRequest, http.StatusNotFound:
		return economy.Refused
	case http.StatusUnprocessableEntity:
		return unprocessable(a, deltas)
	case http.StatusUnauthorized, http.StatusForbidden: // our key is wrong, not the spend
		return economy.Temporary
	case http.StatusLocked, http.StatusTooManyRequests:
		return economy.Temporary
	case 0:
		if !a.maybeSent {
			return economy.Temporary
		}
	}
	return economy.Unknown
}

// unprocessable tells the 422s apart. One that broke off was not applied, but
// why is not known; a store_error is the one 422 the provider calls retryable.
func unprocessable(a answer, deltas economy.Amounts) economy.OutcomeKind {
	switch {
	case a.broken, a.problem.kind == typeStore:
		return economy.Temporary
	case a.problem.speaksOfBalance() && hasDebit(deltas):
		return economy.Insufficient
	}
	return economy.Refused
}

func hasDebit(deltas economy.Amounts) bool {
	for _, amount := range deltas {
		if amount < 0 {
			return true
		}
	}
	return false
}

// touched returns the balances of the currencies in deltas after the change. A
// currency that the answer leaves out reads as 0, unless the answer goes on
// after its first page. nil: the answer cannot be read, or deltas is nil.
func touched(a answer, deltas economy.Amounts) economy.Amounts {
	list, err := parseBalances(a.body)
	if err != nil || deltas == nil {
		return nil
	}
	out := make(economy.Amounts, len(deltas))
	for currency := range deltas {
		balance, listed := list.balances[currency]
		if listed || list.next == "" {
			out[currency] = balance
		}
	}
	return out
}
