package simulator_test

import (
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestFaultsAnswerAsDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	tests := []struct {
		name   string
		faults simulator.Faults
		want   string // "": the connection is cut
		moved  economy.Amount
	}{
		{"brown-out", simulator.Faults{BrownOut: true}, "503 server_error", 0},
		{"unauthorized", simulator.Faults{Unauthorized: true}, "401 authentication_error", 0},
		{"locked", simulator.Faults{Locked: 1}, "423 resource_locked_error", 0},
		{"too many", simulator.Faults{TooMany: 1}, "429 rate_limit_error", 0},
		{"down", simulator.Faults{Down: true}, "", 0},
		{"lost answer", simulator.Faults{LoseAnswer: 1}, "", 1},
		{"lost refusal", simulator.Faults{FailBefore: 0, LoseAnswer: 1}, "", 1},
		{"in good health, slow", simulator.Faults{Delay: time.Millisecond, Jitter: time.Millisecond}, "200 <nil>", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w.SetFaults(test.faults)
			defer w.SetFaults(simulator.Faults{})
			before := w.Balance("p1")["GEM"]
			got, err := w.try(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`)
			if test.want == "" {
				equal(t, "cut", err != nil, true)
			} else {
				equal(t, "answer", got.problem(), test.want)
			}
			equal(t, "moved", before-w.Balance("p1")["GEM"], test.moved)
		})
	}
	equal(t, "cut", w.Stats().Cut, 3)
}

func TestFailBeforeAppliesNothingInItsShare(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (statuses string, applied int) {
		w := newWorld(t, simulator.Config{Seed: seed})
		w.set(t, "p1", economy.Amounts{"GEM": 1000})
		w.SetFaults(simulator.Faults{FailBefore: 0.33})
		var all strings.Builder
		for range 300 {
			switch w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`).status {
			case 200:
				all.WriteByte('.')
			case 500:
				all.WriteByte('0')
			case 503:
				all.WriteByte('3')
			}
		}
		equal(t, "balance", w.Balance("p1")["GEM"], 1000-strings.Count(all.String(), "."))
		return all.String(), w.Stats().Applied
	}
	first, applied := run(7)
	equal(t, "answers", len(first), 300)
	if applied < 170 || applied > 230 || !strings.Contains(first, "0") || !strings.Contains(first, "3") {
		t.Errorf("%d of 300 applied: %s", applied, first)
	}
	again, _ := run(7)
	equal(t, "the same seed", again, first)
	if other, _ := run(8); other == first {
		t.Error("another seed gave the same luck")
	}
}

func TestRateLimitHasAWindowPerDomain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := noon // ten seconds into its minute
	w := newWorld(t, simulator.Config{RatePerMinute: 2, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	spend := func() response { return w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`) }
	const usage, limit = "RevenueCat-Rate-Limit-Current-Usage", "RevenueCat-Rate-Limit-Current-Limit"
	for _, want := range []struct{ status, usage string }{{"200", "1"}, {"200", "2"}, {"429", "2"}} {
		got := spend()
		equal(t, "answer", []any{got.status, got.header.Get(usage), got.header.Get(limit)}, []any{want.status, want.usage, "2"})
	}
	over := spend()
	equal(t, "Retry-After", over.header.Get("Retry-After"), "50")
	equal(t, "backoff_ms", over.body["backoff_ms"], 50000)
	equal(t, "another domain", w.call(t, http.MethodGet, balances, "").header.Get(usage), "1")
	catalogue := w.call(t, http.MethodGet, project+"/virtual_currencies", "")
	equal(t, "the configuration has an eighth", []any{catalogue.status, catalogue.header.Get(limit)}, []any{200, "1"})
	equal(t, "and no more", w.call(t, http.MethodGet, project+"/virtual_currencies", "").status, 429)
	mu.Lock()
	now = now.Add(50 * time.Second)
	mu.Unlock()
	equal(t, "next minute", spend().header.Get(usage), "1")
	w.SetFaults(simulator.Faults{})
	equal(t, "no limit", spend().header.Get(limit), "")
}

func TestFaultsRefuseWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, f := range []simulator.Faults{
		{FailBefore: -0.1}, {LoseAnswer: 1.1}, {Locked: math.NaN()}, {TooMany: 2}, {ReplayConflict: 33},
		{Delay: -1}, {Jitter: time.Hour}, {RatePerMinute: -1},
	} {
		if f.Validate() == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("SetFaults took them")
		}
	}()
	newWorld(t, simulator.Config{}).SetFaults(simulator.Faults{TooMany: 2})
}
