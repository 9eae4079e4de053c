package revenuecat

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// pagesMax bounds one reading: 100 currencies a project, 20 a page by default
// (RevenueCat API v2, pagination), and room for smaller pages.
const pagesMax = 20

// Reading is what the provider said a customer holds.
type Reading struct {
	Known     bool            // false: the provider never saw this customer, who so holds nothing
	Balances  economy.Amounts // every currency of the project, also those at 0; never nil
	Names     map[economy.Currency]string
	StartedAt time.Time // before the first call: every change that ended before it is in the reading
}

// Balances reads what a customer holds, page after page. A customer unknown to
// the provider (404) is an empty reading, no error. Every error is an *Error.
// Source: RevenueCat API v2, List a customer's virtual currency balances.
func (c *Client) Balances(ctx context.Context, appUserID string) (Reading, error) {
	reading := Reading{
		Balances: economy.Amounts{}, Names: map[economy.Currency]string{}, StartedAt: c.now(),
	}
	if !validCustomer(appUserID) {
		return Reading{}, &Error{Op: OpBalances, Detail: "not sent: the player id cannot be part of an address"}
	}
	query := url.Values{"include_empty_balances": {"true"}}
	for range pagesMax {
		a := c.call(ctx, outgoing{
			op: OpBalances, method: http.MethodGet, customer: appUserID,
			path: customerPath(appUserID) + "/virtual_currencies?" + query.Encode(),
		})
		c.report(ctx, OpBalances, a, "")
		if a.status == http.StatusNotFound && !reading.Known {
			return reading, nil
		}
		if a.status != http.StatusOK {
			return Reading{}, a.failure(OpBalances, a.detail)
		}
		list, err := parseBalances(a.body)
		if err != nil {
			return Reading{}, a.failure(OpBalances, err.Error())
		}
		reading.Known = true
		maps.Copy(reading.Balances, list.balances)
		maps.Copy(reading.Names, list.names)
		if list.next == "" {
			return reading, nil
		}
		if list.next == query.Get("starting_after") {
			return Reading{}, a.failure(OpBalances, "the next page is the page before")
		}
		query.Set("starting_after", list.next)
	}
	return Reading{}, &Error{Op: OpBalances, Status: http.StatusOK, Detail: "the list of balances does not end"}
}

// balanceList is one page of balances.
type balanceList struct {
	balances economy.Amounts
	names    map[economy.Currency]string
	next     string // starting_after of the next page; "": this is the last one
}

var errUnreadable = errors.New("the balances cannot be read")

// parseBalances decodes a list envelope. An item without a code or a whole
// number makes the whole page unreadable: half a balance is worse than none.
func parseBalances(body []byte) (balanceList, error) {
	var page struct {
		Items *[]struct {
			Code    economy.Currency `json:"currency_code"`
			Balance *json.Number     `json:"balance"`
			Name    string           `json:"name"`
		} `json:"items"`
		Next string `json:"next_page"`
	}
	if json.Unmarshal(body, &page) != nil || page.Items == nil {
		return balanceList{}, errUnreadable
	}
	list := balanceList{balances: economy.Amounts{}, names: map[economy.Currency]string{}}
	last := ""
	for _, item := range *page.Items {
		if item.Code == "" || item.Balance == nil {
			return balanceList{}, errUnreadable
		}
		amount, ok := wholeNumber(*item.Balance)
		if !ok {
			return balanceList{}, errUnreadable
		}
		list.balances[item.Code] = amount
		if item.Name != "" {
			list.names[item.Code] = item.Name
		}
		last = string(item.Code)
	}
	if page.Next != "" {
		list.next = startingAfter(page.Next, last)
		if list.next == "" {
			return balanceList{}, errUnreadable
		}
	}
	return list, nil
}

// wholeNumber accepts 80 and 80.0, and neither 80.5 nor a balance the provider
// cannot hold.
func wholeNumber(n json.Number) (economy.Amount, bool) {
	f, err := n.Float64() // exact for every balance there can be
	if err != nil || f != math.Trunc(f) || f < 0 || f > float64(economy.BalanceMax) {
		return 0, false
	}
	return economy.Amount(f), true
}

// startingAfter takes the cursor out of next_page, which is a path or a whole
// URL; a next_page without one goes on after the last item.
func startingAfter(next, last string) string {
	if u, err := url.Parse(next); err == nil {
		if cursor := u.Query().Get("starting_after"); cursor != "" {
			return cursor
		}
	}
	return last
}
