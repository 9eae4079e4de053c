package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestCustomersAreCreatedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{Now: func() time.Time { return noon }})
	const customers = project + "/customers"
	for body, want := range map[string]string{
		`{}`:                        "400 parameter_error id",
		`{"id":""}`:                 "400 parameter_error id",
		`{"id":7}`:                  "400 parameter_error id",
		`{"id":"$RCAnonymousID:1"}`: "400 parameter_error id",
		`{"id":"a b"}`:              "400 parameter_error id",
		`{"id":"p1","name":"x"}`:    "400 parameter_error name",
		`{"id":"` + strings.Repeat("p", 1501) + `"}`: "400 parameter_error id",
	} {
		equal(t, body, w.call(t, http.MethodPost, customers, body).problem(), want)
	}
	equal(t, "before", w.call(t, http.MethodGet, customer, "").problem(), "404 resource_missing")
	made := w.call(t, http.MethodPost, customers, `{"id":"p1","attributes":[]}`)
	equal(t, "made", made.text, `{"object":"customer","id":"p1","project_id":"proj_sim","first_seen_at":1772366410000,"last_seen_at":1772366410000,"active_entitlements":{"object":"list","items":[],"next_page":null,"url":"`+customer+`/active_entitlements"}}`)
	equal(t, "status", made.status, 201)
	equal(t, "again", w.call(t, http.MethodPost, customers, `{"id":"p1"}`).problem(), "409 resource_already_exists id")
	equal(t, "shown", w.call(t, http.MethodGet, customer, "").text, made.text)
	equal(t, "holds", w.Balance("p1"), economy.Amounts{})
	equal(t, "nobody", w.Balance("p2") == nil, true)
}

func TestAutoCreateKnowsEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{AutoCreate: true})
	equal(t, "customer", w.call(t, http.MethodGet, customer, "").status, 200)
	equal(t, "balances", w.call(t, http.MethodGet, balances, "").status, 200)
	equal(t, "debit", w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`).status, 422)
	equal(t, "nothing was made", w.Stats().Customers, 0)
	equal(t, "credit", w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":7}}`).status, 200)
	equal(t, "balance", w.Balance("p1"), economy.Amounts{"GEM": 7})
}

func TestBalancesComeInPages(t *testing.T) {
	t.Parallel()
	currencies := map[economy.Currency]string{}
	held := economy.Amounts{}
	for i := range 45 {
		code := economy.Currency(fmt.Sprintf("C%02d", i))
		currencies[code] = "Currency " + string(code)
		if i%3 == 0 {
			held[code] = economy.Amount(i + 1)
		}
	}
	w := newWorld(t, simulator.Config{Currencies: currencies})
	w.set(t, "p1", held)
	for _, test := range []struct {
		path  string
		pages []int
	}{
		{balances, []int{15}},
		{balances + "?include_empty_balances=true", []int{20, 20, 5}},
		{balances + "?include_empty_balances=true&limit=15", []int{15, 15, 15}},
		{project + "/virtual_currencies", []int{20, 20, 5}},
	} {
		var pages []int
		for next := test.path; next != ""; {
			page := w.call(t, http.MethodGet, next, "")
			pages = append(pages, len(page.body["items"].([]any)))
			next, _ = page.body["next_page"].(string)
		}
		equal(t, test.path, pages, test.pages)
	}
	for _, limit := range []string{"0", "1001", "x"} {
		equal(t, limit, w.call(t, http.MethodGet, balances+"?limit="+limit, "").problem(), "400 parameter_error limit")
	}
	reading, err := w.client(t).Balances(t.Context(), "p1")
	if err != nil || len(reading.Balances) != 45 || !reading.Balances.Equal(held) || reading.Names["C44"] != "Currency C44" {
		t.Errorf("our client read %+v, %v", reading, err)
	}
}

func TestCatalogueListsTheCurrencies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	got := w.call(t, http.MethodGet, project+"/virtual_currencies", "").body["items"].([]any)
	equal(t, "items", len(got), 2)
	first := got[0].(map[string]any)
	equal(t, "first", []any{first["code"], first["name"], first["state"]}, []any{"GEM", "Gems", "active"})
}
