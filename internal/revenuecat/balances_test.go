package revenuecat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

func page(next string, items ...string) string {
	return fmt.Sprintf(`{"object":"list","url":"x","next_page":%s,"items":[%s]}`, next, strings.Join(items, ","))
}

func item(code string, balance int) string {
	return fmt.Sprintf(`{"object":"virtual_currency_balance","currency_code":%q,"balance":%d,"name":"Name of %s","description":null}`, code, balance, code)
}

func TestBalancesReadsEveryPage(t *testing.T) {
	t.Parallel()
	for _, last := range []string{`null`, `""`} {
		p := newProvider(t,
			says(200, page(`"/v2/projects/proj_1/customers/x/virtual_currencies?limit=2&starting_after=B"`, item("A", 1), item("B", 0))),
			says(200, page(`"https://api.revenuecat.com/v2/somewhere"`, item("C", 2_000_000_000))),
			says(200, page(last, item("D", 4))))
		at := newClock()
		c := newClient(t, p.URL, func(cfg *Config) { cfg.Now = at.Now })
		got, err := c.Balances(t.Context(), testPlayer)
		if err != nil {
			t.Fatal(err)
		}
		want := Reading{
			Known:     true,
			Balances:  economy.Amounts{"A": 1, "B": 0, "C": economy.BalanceMax, "D": 4},
			Names:     map[economy.Currency]string{"A": "Name of A", "B": "Name of B", "C": "Name of C", "D": "Name of D"},
			StartedAt: at.Now(),
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
		path := "/v2/projects/proj_1/customers/%24RCAnonymousID%3A8f3a%2F77/virtual_currencies?include_empty_balances=true"
		for i, uri := range []string{path, path + "&starting_after=B", path + "&starting_after=C"} {
			if r := p.requests()[i]; r.uri != uri || r.method != "GET" || r.key != "" || r.body != "" {
				t.Errorf("request %d: %+v", i, r)
			}
		}
	}
}

func TestBalancesOfAnUnknownCustomerAreEmpty(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(404, errorBody("resource_missing")))
	got, err := newClient(t, p.URL).Balances(t.Context(), testPlayer)
	if err != nil || got.Known || got.Balances == nil || len(got.Balances) != 0 || got.StartedAt.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBalancesTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	loop := says(200, page(`"?starting_after=A"`, item("A", 1)))
	tests := []struct {
		name string
		step http.HandlerFunc
		want Error // Detail is not compared
	}{
		{"401", says(401, ``), Error{Op: OpBalances, Status: 401, Code: "authentication_error"}},
		{"429", says(429, ``, "Retry-After", "2"), Error{Op: OpBalances, Status: 429, Code: typeRateLimit, RetryAfter: 2 * time.Second}},
		{"500", says(500, errorBody("server_error", `,"backoff_ms":5`)), Error{Op: OpBalances, Status: 500, Code: "server_error", RetryAfter: 5 * time.Millisecond}},
		{"cut", cuts, Error{Op: OpBalances}},
		{"not JSON", says(200, `<html>`), Error{Op: OpBalances, Status: 200}},
		{"no items", says(200, `{}`), Error{Op: OpBalances, Status: 200}},
		{"no balance", says(200, page(`null`, `{"currency_code":"A"}`)), Error{Op: OpBalances, Status: 200}},
		{"negative", says(200, page(`null`, item("A", -1))), Error{Op: OpBalances, Status: 200}},
		{"nowhere to go on", says(200, page(`"/x"`)), Error{Op: OpBalances, Status: 200}},
		{"the same page again", loop, Error{Op: OpBalances, Status: 200}},
		{"redirect", says(302, ``, "Location", "/x"), Error{Op: OpBalances, Status: 302}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, test.step)
			_, err := newClient(t, p.URL).Balances(t.Context(), testPlayer)
			got := *asError(t, err)
			test.want.Detail = got.Detail
			if got != test.want || got.Detail == "" && !slices.Contains([]string{"401", "429", "302"}, test.name) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestBalancesEndsAnEndlessList(t *testing.T) {
	t.Parallel()
	n := 0
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		says(200, page(fmt.Sprintf(`"?starting_after=C%d"`, n), item("A", 1)))(w, r)
	})
	_, err := newClient(t, p.URL).Balances(t.Context(), testPlayer)
	_ = asError(t, err)
	if n != pagesMax {
		t.Errorf("%d pages, want %d", n, pagesMax)
	}
}

func TestBalancesGivesBackTheContextsError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, "http://127.0.0.1:1").Balances(ctx, testPlayer)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := newClient(t, "http://127.0.0.1:1").Balances(t.Context(), ".."); asError(t, err).Status != 0 {
		t.Errorf("got %v", err)
	}
}
