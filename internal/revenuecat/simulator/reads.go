package simulator

import (
	"net/http"
	"net/url"
	"slices"
)

func (s *Simulator) routeReads() {
	const project = "/v2/projects/{project}"
	s.route("GET "+project+"/customers/{customer}/aliases", "aliases", customerInformation, s.listAliases)
	s.route("GET "+project+"/customers/{customer}/purchases", "purchases", customerInformation, s.listPurchases)
	s.route("GET "+project+"/customers/{customer}/subscriptions", "subscriptions", customerInformation, s.listSubscriptions)
	s.route("GET "+project+"/subscriptions/{subscription}/transactions", "subscription_transactions", customerInformation, s.listPeriods)
	s.route("GET "+project+"/purchases", "find_purchases", customerInformation, s.findPurchases)
	s.route("GET "+project+"/subscriptions", "find_subscriptions", customerInformation, s.findSubscriptions)
	s.route("GET "+project+"/products", "products", configuration, s.listProducts)
	s.route("GET "+project+"/products/{product}", "product", configuration, s.showProduct)
}

// customerList answers with a list of a customer's.
func customerList[T any](s *Simulator, r *http.Request, luck roll, name string, items func(c *customer, environment string) []T, id func(T) string, body func(T) any) reply {
	query := r.URL.Query()
	limit, stop := pageSize(query)
	if stop != nil {
		return *stop
	}
	environment := query.Get("environment")
	if environment != "" && environment != "production" && environment != "sandbox" {
		return badParameter("environment", "The environment must be production or sandbox.")
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.books.customer(r.PathValue("customer"))
	switch {
	case c == nil && s.autoCreate:
		c = &customer{ids: []string{r.PathValue("customer")}}
	case c == nil:
		return missing("customer")
	}
	path := "/v2/projects/" + s.project + "/customers/" + url.PathEscape(r.PathValue("customer")) + "/" + name
	return pageAfter(items(c, environment), id, body, path, query, limit)
}

func (s *Simulator) listAliases(r *http.Request, luck roll) reply {
	return customerList(s, r, luck, "aliases", func(c *customer, _ string) []string { return c.ids }, func(id string) string { return id },
		func(id string) any { return aliasBody{"customer.alias", id, s.startedAt.UnixMilli()} })
}

func (s *Simulator) listPurchases(r *http.Request, luck roll) reply {
	return customerList(s, r, luck, "purchases", func(c *customer, environment string) []*sale {
		sales, _ := s.books.bought(c.ids[0])
		return slices.DeleteFunc(sales, func(v *sale) bool { return environment != "" && v.Environment != environment })
	}, func(v *sale) string { return v.ID }, s.saleBody)
}

func (s *Simulator) listSubscriptions(r *http.Request, luck roll) reply {
	return customerList(s, r, luck, "subscriptions", func(c *customer, environment string) []*subscription {
		_, list := s.books.bought(c.ids[0])
		return slices.DeleteFunc(list, func(v *subscription) bool { return environment != "" && v.Environment != environment })
	}, func(v *subscription) string { return v.ID }, func(v *subscription) any { return s.subscriptionBody(v, s.now()) })
}

// listPeriods lists a subscription's periods, newest first. The provider has them of
// Apple's and Google's only; how it refuses the others is not documented.
func (s *Simulator) listPeriods(r *http.Request, luck roll) reply {
	query := r.URL.Query()
	limit, stop := pageSize(query)
	if stop != nil {
		return *stop
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.books.shelf.subscriptions[r.PathValue("subscription")]
	if v == nil {
		return missing("subscription")
	}
	if !slices.Contains([]string{appStore, "mac_app_store", playStore}, v.Store) {
		return refusal(http.StatusUnprocessableEntity, "unprocessable_entity_error", "", "The store does not tell its transactions.")
	}
	newest := slices.Clone(v.Periods)
	slices.Reverse(newest)
	return pageAfter(newest, func(p period) string { return p.StoreID }, s.periodBody,
		"/v2/projects/"+s.project+"/subscriptions/"+v.ID+"/transactions", query, limit)
}

func (s *Simulator) findPurchases(r *http.Request, luck roll) reply {
	storeID := r.URL.Query().Get("store_purchase_identifier")
	if storeID == "" {
		return badParameter("store_purchase_identifier", "It must not be empty.")
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []any
	if v := s.books.shelf.sales[s.books.shelf.byStoreID[storeID]]; v != nil {
		items = append(items, s.saleBody(v))
	}
	return reply{status: http.StatusOK, body: newList(items, "/v2/projects/"+s.project+"/purchases", "")}
}

func (s *Simulator) findSubscriptions(r *http.Request, luck roll) reply {
	storeID := r.URL.Query().Get("store_subscription_identifier")
	if storeID == "" {
		return badParameter("store_subscription_identifier", "It must not be empty.")
	}
	pause(r.Context(), luck.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []any
	if v := s.books.shelf.subscriptions[s.books.shelf.byStoreID[storeID]]; v != nil {
		items = append(items, s.subscriptionBody(v, s.now()))
	}
	return reply{status: http.StatusOK, body: newList(items, "/v2/projects/"+s.project+"/subscriptions", "")}
}

// pageAfter answers with the limit items that follow the one of starting_after, in
// their order.
func pageAfter[T any](items []T, id func(T) string, body func(T) any, path string, query url.Values, limit int) reply {
	if after := query.Get("starting_after"); after != "" {
		at := slices.IndexFunc(items, func(item T) bool { return id(item) == after })
		if at < 0 {
			return badParameter("starting_after", "No item of the list has this id.")
		}
		items = items[at+1:]
	}
	next := ""
	if len(items) > limit {
		items = items[:limit]
		query.Set("starting_after", id(items[limit-1]))
		next = path + "?" + query.Encode()
	}
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = body(item)
	}
	return reply{status: http.StatusOK, body: newList(out, path, next)}
}
