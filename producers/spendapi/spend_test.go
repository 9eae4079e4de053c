package spendapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// outcomes is every way a spend can stand, and what POST /spend and a repeated
// key say to it.
var outcomes = []struct {
	name   string
	states []economy.State
	reason economy.Reason
	status int
	kind   *ProblemType
}{
	{"requested", nil, "", 202, nil},
	{"charged", []economy.State{economy.Charged}, "", 202, nil},
	{"fulfilled", []economy.State{economy.Charged, economy.Fulfilled}, "", 200, nil},
	{"refunding", []economy.State{economy.Charged, economy.Refunding}, economy.HandOverRefused, 202, nil},
	{"refunded", []economy.State{economy.Charged, economy.Refunding, economy.Refunded}, economy.HandOverRefused, 500, ItemNotHandedOver},
	{"taken_back", []economy.State{economy.Charged, economy.Fulfilled, economy.Refunding, economy.Refunded}, economy.OperatorRefund, 403, SpendRefunded},
	{"insufficient_funds", []economy.State{economy.Declined}, economy.InsufficientFunds, 402, InsufficientFunds},
	{"provider_refused", []economy.State{economy.Declined}, economy.ProviderRefused, 502, ProviderRefused},
	{"cancelled", []economy.State{economy.Declined}, economy.Cancelled, 403, SpendCancelled},
}

func TestSpendTellsTheOutcomeItWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, o := range outcomes {
		if len(o.states) == 0 || !o.states[len(o.states)-1].Final() {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			answer := b.begin(t, post(buy("extra_life", 2, o.name), "Prefer", "wait=30"))
			spend := b.move(t, (<-b.committed).ID, o.reason, o.states...)
			b.Notify(events.Notice{Spend: spend})
			w := <-answer
			require.Equal(t, o.status, w.Code, w.Body)
			require.Equal(t, "wait=30", w.Header().Get("Preference-Applied"))
			require.Equal(t, "Prefer", w.Header().Get("Vary"))
			require.Empty(t, w.Header().Get("Idempotency-Replayed"))
			if o.kind != nil {
				p := requireProblem(t, w, o.kind)
				require.Equal(t, spend.ID, p["spend"].(map[string]any)["id"])
				require.Equal(t, "/spends/"+spend.ID, p["instance"])
			}
			require.Zero(t, b.waiters.Waiting())
		})
	}
}

func TestARepeatedKeyTellsTheStateNow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, o := range outcomes {
		spend := b.accept(t, post(buy("bundle", 2, o.name)))
		b.move(t, spend.ID, o.reason, o.states...)
		for range 2 { // 402 stays 402
			w := b.do(t, post(buy("bundle", 2, o.name)))
			require.Equal(t, o.status, w.Code, w.Body)
			require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
			if o.kind != nil {
				requireProblem(t, w, o.kind)
			}
			if w.Code == http.StatusAccepted {
				require.Equal(t, "/spends/"+spend.ID, w.Header().Get("Location"))
			}
			body := strings.ReplaceAll(w.Body.String(), spend.ID, "01980000-0000-7000-8000-000000000000")
			golden(t, "post_spend_"+o.name, []byte(body))
		}
		w := b.do(t, get("/spends/"+spend.ID))
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		body := strings.ReplaceAll(w.Body.String(), spend.ID, "01980000-0000-7000-8000-000000000000")
		golden(t, "get_spend_"+o.name, []byte(body))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), i)
	}
}

func TestARepeatedKeyOutlivesTheItem(t *testing.T) {
	t.Parallel()
	current := catalog(nil)()
	b := setup(t, func(c *Config) { c.Catalog = func() economy.Catalog { return current } })
	spend := b.accept(t, post(buy("extra_life", 1, "k1")))
	for name, change := range map[string]func(economy.Catalog){
		"paused":   func(c economy.Catalog) { it := c.Items["extra_life"]; it.Paused = true; c.Items["extra_life"] = it },
		"removed":  func(c economy.Catalog) { delete(c.Items, "extra_life") },
		"repriced": func(c economy.Catalog) { c.Items["extra_life"].Price["GEM"] = 9999 },
		"long gone": func(c economy.Catalog) {
			it := c.Items["extra_life"]
			it.AvailableUntil = start.Add(-1)
			c.Items["extra_life"] = it
		},
		"fewer": func(c economy.Catalog) { it := c.Items["extra_life"]; it.QuantityMin = 5; c.Items["extra_life"] = it },
	} {
		current = catalog(change)()
		w := b.do(t, post(`{"item":"extra_life","idempotencyKey":"k1"}`)) // quantity left out is 1
		require.Equal(t, http.StatusAccepted, w.Code, name)
		require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"), name)
		require.Contains(t, w.Body.String(), `"cost":{"GEM":50}`, name)
		require.Contains(t, w.Body.String(), spend.ID, name)
		requireProblem(t, b.do(t, post(buy("extra_life", 2, "k1"))), IdempotencyKeyReused)
	}
}

func TestARepeatedKeyOfAReachedLimitIsNoNewSpend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.accept(t, post(buy("limited", 3, "k1")))
	requireProblem(t, b.do(t, post(buy("limited", 1, "k2"))), LimitReached)
	w := b.do(t, post(buy("limited", 3, "k1")))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
}

func TestTheKeyWithAnotherRequestIsAConflict(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spend := b.accept(t, post(buy("extra_life", 1, "k1")))
	for _, body := range []string{buy("extra_life", 2, "k1"), buy("bundle", 1, "k1"), buy("no_such_item", 1, "k1")} {
		p := requireProblem(t, b.do(t, post(body)), IdempotencyKeyReused)
		require.Equal(t, spend.ID, p["spend"].(map[string]any)["id"])
	}
	w := b.do(t, post(buy("bundle", 1, "k1"), "Prefer", "respond-async").as("somebody-else"))
	require.Equal(t, http.StatusAccepted, w.Code, "keys are one namespace per player")
}

func TestTheKeyMayComeInTheHeaderOrTheBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spend := b.accept(t, post(`{"item":"extra_life"}`, "Idempotency-Key", `"k \"1\""`))
	require.Equal(t, `k "1"`, spend.IdempotencyKey)
	for _, r := range []request{
		post(`{"item":"extra_life"}`, "Idempotency-Key", `k "1"`),
		post(`{"item":"extra_life","idempotencyKey":"k \"1\""}`),
		post(`{"item":"extra_life","idempotencyKey":"k \u00221\""}`, "Idempotency-Key", `"k \"1\""`),
	} {
		w := b.do(t, r)
		require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"), w.Body)
	}
}

// The longest player and the longest key there can be fit into one index row.
func TestTheLongestPlayerAndKeyAreStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long, key := noise(appUserIDMax), []rune(nil)
	for i := range keyMax {
		key = append(key, rune(0x10000+i*251)) // four bytes each
	}
	spend := b.accept(t, post(buy("limited", 1, string(key))).as(long))
	require.Equal(t, string(key), spend.IdempotencyKey)
	require.Len(t, key, 255)
}

// noise is text that PostgreSQL cannot compress much.
func noise(size int) string {
	out, x := make([]byte, size), uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = '!' + byte(x>>24)%94
	}
	return string(out)
}
