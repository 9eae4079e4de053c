package revenuecat

import (
	"net/http"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

func TestAdjustCreatesACustomerTheProviderDoesNotKnow(t *testing.T) {
	t.Parallel()
	missing := says(404, errorBody("resource_missing"))
	tests := []struct {
		name  string
		steps []http.HandlerFunc
		kind  economy.OutcomeKind
		wait  time.Duration
		calls int
	}{
		{"created, then applied", []http.HandlerFunc{missing, says(201, `{"object":"customer"}`), says(200, list80)}, economy.Applied, 0, 3},
		{"created, then not enough", []http.HandlerFunc{missing, says(200, `{}`), says(422, insufficient)}, economy.Insufficient, 0, 3},
		{"was there", []http.HandlerFunc{missing, says(409, errorBody(typeExists)), says(200, list80)}, economy.Applied, 0, 3},
		{"was there, no type", []http.HandlerFunc{missing, says(409, ``), says(200, list80)}, economy.Applied, 0, 3},
		{"conflict of another kind", []http.HandlerFunc{missing, says(409, errorBody(typeIdempotency))}, economy.Temporary, 0, 2},
		{"404 twice", []http.HandlerFunc{missing, says(201, `{}`), missing}, economy.Refused, 0, 3},
		{"not creatable 400", []http.HandlerFunc{missing, says(400, errorBody("parameter_error"))}, economy.Refused, 0, 2},
		{"not creatable 404", []http.HandlerFunc{missing, missing}, economy.Refused, 0, 2},
		{"not creatable 422", []http.HandlerFunc{missing, says(422, ``)}, economy.Refused, 0, 2},
		{"creation limited", []http.HandlerFunc{missing, says(429, ``, "Retry-After", "3")}, economy.Temporary, 3 * time.Second, 2},
		{"creation unauthorised", []http.HandlerFunc{missing, says(403, ``)}, economy.Temporary, 0, 2},
		{"creation lost", []http.HandlerFunc{missing, cuts}, economy.Temporary, 0, 2},
		{"creation fails", []http.HandlerFunc{missing, says(500, ``)}, economy.Temporary, 0, 2},
		{"created, second answer lost", []http.HandlerFunc{missing, says(201, `{}`), cuts}, economy.Unknown, 0, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, test.steps...)
			var observed []Call
			c := newClient(t, p.URL, func(cfg *Config) { cfg.Observe = func(call Call) { observed = append(observed, call) } })
			got := c.Adjust(t.Context(), request(debit))
			if got.Kind != test.kind || got.RetryAfter != test.wait {
				t.Errorf("got %+v, want %s after %s", got, test.kind, test.wait)
			}
			seen := p.requests()
			if len(seen) != test.calls || len(observed) != test.calls {
				t.Fatalf("saw %d requests, observed %d, want %d", len(seen), len(observed), test.calls)
			}
			if create := seen[1]; create.uri != "/v2/projects/proj_1/customers" || create.body != `{"id":"`+testPlayer+`"}` || create.key != "" {
				t.Errorf("create request: %+v", create)
			}
			if test.calls == 3 && seen[0] != seen[2] {
				t.Errorf("the second sending differs:\n%+v\n%+v", seen[0], seen[2])
			}
		})
	}
}

// A credit to a customer who was deleted must not make a new one to credit.
func TestUnknownCustomerIsNotCreatedUnlessAsked(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(404, errorBody("resource_missing", "")))
	r := request(economy.Amounts{"GEM": 50})
	r.CreateCustomer = false
	if got := newClient(t, p.URL).Adjust(t.Context(), r); got.Kind != economy.Refused {
		t.Errorf("got %+v, want refused", got)
	}
}
