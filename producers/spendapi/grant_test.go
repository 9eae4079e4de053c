package spendapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
)

func give(player string, gems int, reason, key string) string {
	body, _ := json.Marshal(map[string]any{
		"app_user_id": player, "adjustments": map[string]int{"GEM": gems}, "reason": reason, "idempotency_key": key,
	})
	return string(body)
}

// grantOutcomes is every way a grant can stand.
var grantOutcomes = []struct {
	name   string
	states []economy.State
	reason economy.Reason
	status int
	kind   *ProblemType
}{
	{"requested", nil, "", 202, nil},
	{"fulfilled", []economy.State{economy.Fulfilled}, "", 200, nil},
	{"provider_refused", []economy.State{economy.Declined}, economy.ProviderRefused, 502, GrantRefused},
	{"cancelled", []economy.State{economy.Declined}, economy.Cancelled, 403, SpendCancelled},
}

func TestWhatAGrantRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := give(player, 100, "quest", "k")
	member := func(name, value string) request { return grant(strings.Replace(good, name, value, 1)) }
	for _, c := range []struct {
		name string
		r    request
		kind *ProblemType
	}{
		{"form", request{method: "POST", path: "/grants", body: good, player: "-", header: http.Header{"Authorization": {"Bearer " + serverKey}}}, UnsupportedMediaType},
		{"a player's session", request{method: "POST", path: "/grants", body: good, header: http.Header{"Content-Type": {"application/json"}}}, ServerKeyNeeded},
		{"no key", request{method: "POST", path: "/grants", body: good, player: "-", header: http.Header{"Content-Type": {"application/json"}}}, ServerKeyNeeded},
		{"an admin key", request{method: "POST", path: "/grants", body: good, player: "-", header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + adminKey}}}, ServerKeyNeeded},
		{"no body", grant(""), MalformedRequest},
		{"a list", grant("[]"), MalformedRequest},
		{"no player", member(`"app_user_id"`, `"x"`), MalformedRequest},
		{"a player with NUL", grant(give("a\x00", 1, "quest", "k")), MalformedRequest},
		{"a player twice", member(`{`, `{"app_user_id":"x",`), MalformedRequest},
		{"anonymous", grant(give("$RCAnonymousID:1", 1, "quest", "k")), AnonymousPlayer},
		{"no reason", member(`"reason"`, `"x"`), MalformedRequest},
		{"an empty reason", grant(give(player, 1, "", "k")), MalformedRequest},
		{"a long reason", grant(give(player, 1, strings.Repeat("x", 501), "k")), MalformedRequest},
		{"a reason with NUL", grant(give(player, 1, "a\x00", "k")), MalformedRequest},
		{"no idempotency key", member(`"idempotency_key"`, `"x"`), BadIdempotencyKey},
		{"another key in the header", grant(good, "Idempotency-Key", "x"), BadIdempotencyKey},
		{"no adjustments", member(`"adjustments"`, `"x"`), BadAdjustments},
		{"adjustments twice", member(`{`, `{"adjustments":{"GEM":1},`), BadAdjustments},
		{"adjustments are a list", member(`{"GEM":100}`, `[]`), BadAdjustments},
		{"nothing to give", member(`{"GEM":100}`, `{}`), BadAdjustments},
		{"0", grant(give(player, 0, "quest", "k")), BadAdjustments},
		{"a debit", grant(give(player, -5, "quest", "k")), BadAdjustments},
		{"more than a balance holds", grant(give(player, 2_000_000_001, "quest", "k")), BadAdjustments},
		{"far more", member(`100`, `99999999999999999999`), BadAdjustments},
		{"1.5", member(`100`, `1.5`), BadAdjustments},
		{"1e2", member(`100`, `1e2`), BadAdjustments},
		{"a string", member(`100`, `"100"`), BadAdjustments},
		{"a currency twice", member(`{"GEM":100}`, `{"GEM":100,"GEM":1}`), BadAdjustments},
		{"no currency's code", member(`GEM`, `G-M`), BadAdjustments},
		{"more than one call may give", grant(give(player, 10_001, "quest", "k")), GrantTooLarge},
		{"body too large", grant(give(player, 1, strings.Repeat("x", bodyMax), "k")), BodyTooLarge},
		{"method", get("/grants"), MethodNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := b.do(t, c.r)
			requireProblem(t, w, c.kind)
			require.Less(t, w.Body.Len(), 1500)
		})
	}
	require.Empty(t, b.committed)
	golden(t, "problem_grant_too_large", b.do(t, grant(give(player, 10_001, "quest", "k"))).Body.Bytes())
	golden(t, "problem_server_key_needed", b.do(t, grant(good).asServer("x").as("-")).Body.Bytes())
	golden(t, "problem_bad_adjustments", b.do(t, grant(give(player, -5, "quest", "k"))).Body.Bytes())
}

func TestGrantTellsTheOutcomeItWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, o := range grantOutcomes[1:] {
		answer := b.begin(t, grant(give(player, 100, "quest", o.name), "Prefer", "wait=30"))
		spend := b.move(t, (<-b.committed).ID, o.reason, o.states...)
		b.Notify(events.Notice{Spend: spend})
		w := <-answer
		require.Equal(t, o.status, w.Code, w.Body)
		require.Equal(t, "wait=30", w.Header().Get("Preference-Applied"))
		require.Empty(t, w.Header().Get("Idempotency-Replayed"))
		if o.kind != nil {
			p := requireProblem(t, w, o.kind)
			require.Equal(t, spend.ID, p["grant"].(map[string]any)["id"])
			require.Equal(t, "/spends/"+spend.ID, p["instance"])
		}
	}
}

func TestARepeatedKeyOfAGrantTellsItsStateNow(t *testing.T) {
	t.Parallel()
	most := economy.Amount(10_000)
	b := setup(t)
	for _, o := range grantOutcomes {
		w := b.do(t, grant(give(player, int(most), "quest", o.name), "Prefer", "respond-async"))
		require.Equal(t, http.StatusAccepted, w.Code, w.Body)
		made := <-b.committed
		require.Equal(t, "/spends/"+made.ID, w.Header().Get("Location"))
		b.move(t, made.ID, o.reason, o.states...)
		b.grantMax = 1 // what was granted once is told, whatever may be granted now
		for range 2 {
			w = b.do(t, grant(give(player, int(most), "quest", o.name)))
			require.Equal(t, o.status, w.Code, w.Body)
			require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
			if o.kind != nil {
				requireProblem(t, w, o.kind)
			}
			golden(t, "post_grant_"+o.name, []byte(strings.ReplaceAll(w.Body.String(), made.ID, "01980000-0000-7000-8000-000000000000")))
		}
		b.grantMax = most
		for _, reader := range []request{get("/spends/" + made.ID), get("/spends/" + made.ID).asServer(serverKey)} {
			w = b.do(t, reader)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			golden(t, "get_grant_"+o.name, []byte(strings.ReplaceAll(w.Body.String(), made.ID, "01980000-0000-7000-8000-000000000000")))
		}
	}
	requireProblem(t, b.do(t, grant(give(player, 10_001, "quest", "new"))), GrantTooLarge)
}

func TestGrantsAndSpendsShareTheKeysOfAPlayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.accept(t, post(buy("extra_life", 1, "spent")))
	b.do(t, grant(give(player, 100, "quest", "granted"), "Prefer", "respond-async"))
	made := <-b.committed
	for _, r := range []request{
		grant(give(player, 100, "quest", "spent")), grant(give(player, 101, "quest", "granted")), grant(give(player, 100, "other", "granted")),
		post(buy("extra_life", 1, "granted")),
	} {
		requireProblem(t, b.do(t, r), IdempotencyKeyReused)
	}
	w := b.do(t, post(buy("extra_life", 1, "granted")))
	require.Contains(t, w.Body.String(), `"grant":{"id":"`+made.ID)
	golden(t, "problem_idempotency_key_reused_of_a_grant", []byte(strings.ReplaceAll(w.Body.String(), made.ID, "01980000-0000-7000-8000-000000000000")))
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "granted"))))
	require.True(t, list[0].is(IdempotencyKeyReused))
	require.Equal(t, http.StatusAccepted, b.do(t, grant(give("another", 1, "quest", "spent"), "Prefer", "respond-async")).Code)
	requireProblem(t, b.do(t, get("/spends/"+made.ID).as("another")), NotFound)
}

func TestAGrantIsStoredAsItWasAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"app_user_id":"p","adjustments":{"GEM":100,"GOLD":3},"reason":"secret words","unknown":[1]}`
	w := b.do(t, grant(body, "Idempotency-Key", `"k"`, "Prefer", "respond-async"))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	require.NotContains(t, w.Body.String(), "secret words")
	spend, err := books.New(b.db).SpendByKey(t.Context(), "p", "k")
	require.NoError(t, err)
	require.Equal(t, economy.KindGrant, spend.Kind)
	require.Equal(t, economy.Amounts{"GEM": 100, "GOLD": 3}, spend.Cost)
	require.Equal(t, "secret words", spend.Note)
	var owed []string
	require.NoError(t, b.db.Select(&owed, "SELECT consumer FROM outbox WHERE event_id = $1", spend.ID+".requested"))
	require.Equal(t, []string{"adjust"}, owed)
	for _, text := range []string{"secret words", serverKey, `"p"`} {
		require.NotContains(t, b.log.String(), text)
	}
	lines := b.log.lines(t)
	require.Equal(t, "POST /grants", lines[0]["route"])
	require.Equal(t, spend.ID, lines[0]["spend_id"])
}

func TestIntakeOfGrantsAndBatchesShedsToo(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) { c.Books = noBooks{} })
	for range pressureSamplesMin {
		b.pressure.observe(2*commitSlow, b.clock.now())
	}
	w := b.do(t, grant(give(player, 1, "quest", "k")))
	requireProblem(t, w, Overloaded)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k"))))
	require.True(t, list[0].is(Overloaded))
	require.Equal(t, 1, list[0].RetryAfter)
}
