package spendapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// Every refusal that needs no database, in the row's words.
func TestWhatPostSpendRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := buy("extra_life", 1, "k")
	for _, c := range []struct {
		name string
		r    request
		kind *ProblemType
	}{
		{"unknown item", post(buy("nothing", 1, "k")), UnknownItem},
		{"unknown item of 10 KB", post(buy(strings.Repeat("x", 10_000), 1, "k")), UnknownItem},
		{"quantity above the item's", post(buy("extra_life", 11, "k")), BadQuantity},
		{"quantity 0", post(buy("extra_life", 0, "k")), BadQuantity},
		{"quantity below 0", post(buy("extra_life", -1, "k")), BadQuantity},
		{"quantity 1.5", post(`{"item":"extra_life","quantity":1.5,"idempotencyKey":"k"}`), BadQuantity},
		{"no body", post(""), MalformedRequest},
		{"missing key", post(`{"item":"extra_life"}`), BadIdempotencyKey},
		{"key in header and body differ", post(good, "Idempotency-Key", "other"), BadIdempotencyKey},
		{"key too long", post(buy("extra_life", 1, strings.Repeat("k", 256))), BadIdempotencyKey},
		{"no session", post(good).as("-"), Unauthenticated},
		{"a bad token", post(good, "Authorization", "Bearer nonsense").as("-"), Unauthenticated},
		{"another scheme", post(good, "Authorization", "Basic dTpw").as("-"), Unauthenticated},
		{"two tokens", post(good, "Authorization", "Bearer x"), Unauthenticated},
		{"anonymous", post(good).as("$RCAnonymousID:0123"), AnonymousPlayer},
		{"paused", post(buy("paused", 1, "k")), ItemPaused},
		{"not yet on sale", post(buy("tomorrow", 1, "k")), NotYetOnSale},
		{"no longer on sale", post(buy("yesterday", 1, "k")), NoLongerOnSale},
		{"limit", post(buy("limited", 4, "k")), LimitReached},
		{"body too large", post(`{"item":"` + strings.Repeat("x", bodyMax) + `"}`), BodyTooLarge},
		{"form", request{method: "POST", path: "/spend", body: good, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, UnsupportedMediaType},
		{"no content type", request{method: "POST", path: "/spend", body: good, header: http.Header{}}, UnsupportedMediaType},
		{"the type before the session", request{method: "POST", path: "/spend", player: "-", header: http.Header{}}, UnsupportedMediaType},
		{"method", get("/spend"), MethodNotAllowed},
		{"path", get("/spend/"), NotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "two tokens" {
				c.r.header["Authorization"] = []string{"Bearer x", "Bearer y"}
				c.r.player = "-"
			}
			w := b.do(t, c.r)
			requireProblem(t, w, c.kind)
			require.Less(t, w.Body.Len(), 1500)
			if c.kind == Unauthenticated {
				require.True(t, strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer"))
			}
			if c.kind == MethodNotAllowed {
				require.Equal(t, "POST", w.Header().Get("Allow"))
			}
		})
	}
	require.Empty(t, b.committed)
	golden(t, "problem_unknown_item", b.do(t, post(buy("nothing", 1, "k"))).Body.Bytes())
	golden(t, "problem_limit_reached", b.do(t, post(buy("limited", 4, "k"))).Body.Bytes())
	golden(t, "problem_unauthenticated", b.do(t, post(good).as("-")).Body.Bytes())
}

func TestContentTypeMayHaveParameters(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=UTF-8": true,
		"": false, "text/json": false, "application/jsonp": false, "application/json, text/plain": false, "application/problem+json": false,
	} {
		require.Equal(t, want, isJSON([]string{value}), value)
	}
	require.False(t, isJSON(nil))
	require.False(t, isJSON([]string{"application/json", "application/json"}))
}

func TestAPlayerWhoSendsTooFastWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PlayerRate = 0.2 })
	require.Equal(t, http.StatusOK, b.do(t, get("/inventory")).Code)
	w := b.do(t, post(buy("extra_life", 1, "k")))
	requireProblem(t, w, TooManyRequests)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.Equal(t, http.StatusOK, b.do(t, get("/inventory").as("another")).Code)
	b.clock.add(5 * time.Second)
	b.accept(t, post(buy("extra_life", 1, "k")))
}

func TestIntakeShedsOnOurOwnTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		kind  *ProblemType
		retry string
	}{
		{"queue full", outbox.ErrOverloaded, Overloaded, "1"},
		{"database gone", outbox.ErrUnavailable, Unavailable, "2"},
		{"shutting down", outbox.ErrClosed, Unavailable, "2"},
		{"database hangs", context.DeadlineExceeded, Unavailable, "2"},
		{"refused data", &outbox.DataError{Err: errors.New("x")}, Internal, ""},
		{"anything else", errors.New("x"), Internal, ""},
	} {
		b := setupOn(t, nil, commitFunc(func(context.Context, outbox.Effects) (outbox.Result, error) { return 0, c.err }),
			func(c *Config) { c.Books = noBooks{} })
		w := b.do(t, post(buy("extra_life", 1, "k")))
		requireProblem(t, w, c.kind)
		require.Equal(t, c.retry, w.Header().Get("Retry-After"), c.name)
		require.Zero(t, b.waiters.Waiting())
	}
	b := setupOn(t, nil, nil, func(c *Config) { c.Books = noBooks{} })
	for range pressureSamplesMin {
		b.pressure.observe(2*commitSlow, b.clock.now())
	}
	w := b.do(t, post(buy("extra_life", 1, "k")))
	requireProblem(t, w, Overloaded)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
}

func TestPostgreSQLDownIs503AndTheSameKeyGoesOn(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	b := setupOn(t, server.DB(), newCommitter(t, server.DB()))
	first := b.accept(t, post(buy("extra_life", 1, "k1")))
	server.Stop()
	for _, r := range []request{
		post(buy("extra_life", 1, "k1")), post(buy("extra_life", 1, "k2")), post(buy("limited", 1, "k3")), post(buy("paused", 1, "k4")),
		get("/spends/" + first.ID), get("/wallet"), get("/inventory"), get("/spends/" + first.ID).asServer(serverKey),
		grant(give(player, 1, "quest", "k5")), grant(give(player, 1_000_000, "quest", "k6")),
	} {
		w := b.do(t, r)
		requireProblem(t, w, Unavailable)
		require.Equal(t, "2", w.Header().Get("Retry-After"))
	}
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k1"), of(player, "extra_life", 1, "k2"))))
	require.True(t, list[0].is(Unavailable))
	require.True(t, list[1].is(Unavailable))
	server.Start()
	w := b.do(t, post(buy("extra_life", 1, "k1")))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	b.accept(t, post(buy("extra_life", 1, "k2")))
}
