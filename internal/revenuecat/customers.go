package revenuecat

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

// createCustomer makes the provider know a customer. It reports true when the
// customer exists now, by this call or before it; else the outcome of the
// adjustment that waits for it, which was not applied in any case.
//
// Ids outside ^[0-9a-zA-Z_-]*$ are documented as not creatable; they are tried
// all the same, since the provider's word is cheaper than a wrong guess.
// Source: RevenueCat API v2, Create a customer.
func (c *Client) createCustomer(ctx context.Context, id string) (economy.Outcome, bool) {
	body, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		panic("revenuecat: a string did not marshal: " + err.Error())
	}
	a := c.call(ctx, outgoing{
		op: OpCreateCustomer, method: http.MethodPost, path: "/customers", body: body, customer: id,
	})
	c.report(ctx, OpCreateCustomer, a, "")
	if a.status >= 200 && a.status < 300 {
		return economy.Outcome{}, true
	}
	outcome := economy.Outcome{
		Kind: economy.Temporary, RetryAfter: a.wait,
		Status: a.status, Code: a.code, Detail: "customer not created: " + a.detail,
	}
	switch a.status {
	case http.StatusConflict:
		if a.problem.kind == typeExists || a.problem.kind == "" {
			return economy.Outcome{}, true
		}
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		outcome.Kind, outcome.RetryAfter = economy.Refused, 0
	}
	return outcome, false
}
