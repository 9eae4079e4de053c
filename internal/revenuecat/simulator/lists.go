package simulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/sluice-gems/sluice/economy"
)

const (
	pageDefault = 20   // items of a page (RevenueCat API v2, pagination)
	pageMax     = 1000 // the provider documents no largest page
)

// list is the provider's envelope; next_page is null on the last page.
type list struct {
	Object   string  `json:"object"`
	Items    []any   `json:"items"`
	NextPage *string `json:"next_page"`
	URL      string  `json:"url"`
}

func newList(items []any, path, next string) list {
	out := list{Object: "list", Items: items, URL: path}
	if items == nil {
		out.Items = []any{}
	}
	if next != "" {
		out.NextPage = &next
	}
	return out
}

type balanceItem struct {
	Object       string           `json:"object"`
	CurrencyCode economy.Currency `json:"currency_code"`
	Balance      economy.Amount   `json:"balance"`
	Name         string           `json:"name"`
	Description  *string          `json:"description"`
}

type currencyItem struct {
	Object        string           `json:"object"`
	Code          economy.Currency `json:"code"`
	Name          string           `json:"name"`
	Description   *string          `json:"description"`
	ProjectID     string           `json:"project_id"`
	State         string           `json:"state"`
	CreatedAt     int64            `json:"created_at"`
	ProductGrants []any            `json:"product_grants"`
}

// balanceItems lists codes in their order, those at 0 only when empty is true.
func (s *Simulator) balanceItems(balances economy.Amounts, codes []economy.Currency, empty bool) []any {
	var items []any
	for _, code := range codes {
		if balances[code] != 0 || empty {
			items = append(items, balanceItem{
				Object: "virtual_currency_balance", CurrencyCode: code, Balance: balances[code], Name: s.currencies[code],
			})
		}
	}
	return items
}

// listBalances lists what a customer holds, a page at a time, by currency code.
func (s *Simulator) listBalances(r *http.Request, luck roll) reply {
	id, query := r.PathValue("customer"), r.URL.Query()
	limit, stop := pageSize(query)
	if stop != nil {
		return *stop
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.books.customer(id) == nil && !s.autoCreate {
		return missing("customer")
	}
	items := s.balanceItems(s.books.balances(id), s.codes(), query.Get("include_empty_balances") == "true")
	return pageOf(items, func(item any) string { return string(item.(balanceItem).CurrencyCode) },
		s.balancesPath(id), query, limit)
}

// listCurrencies lists the project's catalogue.
func (s *Simulator) listCurrencies(r *http.Request, luck roll) reply {
	limit, stop := pageSize(r.URL.Query())
	if stop != nil {
		return *stop
	}
	pause(r.Context(), luck.delay)
	var items []any
	for _, code := range s.codes() {
		items = append(items, currencyItem{
			Object: "virtual_currency", Code: code, Name: s.currencies[code], ProjectID: s.project,
			State: "active", ProductGrants: []any{},
		})
	}
	return pageOf(items, func(item any) string { return string(item.(currencyItem).Code) },
		"/v2/projects/"+s.project+"/virtual_currencies", r.URL.Query(), limit)
}

// pageOf answers with the limit items after starting_after; items are sorted by id.
func pageOf(items []any, id func(any) string, path string, query url.Values, limit int) reply {
	after := query.Get("starting_after")
	start := 0
	for start < len(items) && after != "" && id(items[start]) <= after {
		start++
	}
	rest, next := items[start:], ""
	if len(rest) > limit {
		rest = rest[:limit]
		query.Set("starting_after", id(rest[limit-1]))
		next = path + "?" + query.Encode()
	}
	return reply{status: http.StatusOK, body: newList(rest, path, next)}
}

func pageSize(query url.Values) (int, *reply) {
	if !query.Has("limit") {
		return pageDefault, nil
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > pageMax {
		out := badParameter("limit", "The limit must be 1 to 1000.")
		return 0, &out
	}
	return limit, nil
}

func (s *Simulator) codes() []economy.Currency { return slices.Sorted(maps.Keys(s.currencies)) }

func (s *Simulator) balancesPath(id string) string {
	return "/v2/projects/" + s.project + "/customers/" + url.PathEscape(id) + "/virtual_currencies"
}
