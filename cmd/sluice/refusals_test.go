package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// The answers of POST /spend to requests that never become a spend; see
// TestEveryStatusOfPostSpend.

func badRequests(s *site) func(*testing.T) {
	return func(t *testing.T) {
		for body, slug := range map[string]string{
			``:     "malformed-request",
			`{`:    "malformed-request",
			`[]`:   "malformed-request",
			`"hi"`: "malformed-request",
			`{"item":"extra_life","idempotencyKey":"k"} {}`:                              "malformed-request",
			`{"idempotencyKey":"k"}`:                                                     "malformed-request",
			`{"item":7,"idempotencyKey":"k"}`:                                            "malformed-request",
			`{"item":"moon","idempotencyKey":"k"}`:                                       "unknown-item",
			`{"item":"extra_life","quantity":0,"idempotencyKey":"k"}`:                    "bad-quantity",
			`{"item":"extra_life","quantity":-1,"idempotencyKey":"k"}`:                   "bad-quantity",
			`{"item":"extra_life","quantity":1.5,"idempotencyKey":"k"}`:                  "bad-quantity",
			`{"item":"extra_life","quantity":"x","idempotencyKey":"k"}`:                  "bad-quantity",
			`{"item":"extra_life","quantity":100,"idempotencyKey":"k"}`:                  "bad-quantity",
			`{"item":"extra_life","quantity":99999999999999999999,"idempotencyKey":"k"}`: "bad-quantity",
			`{"item":"legendary_skin","quantity":2,"idempotencyKey":"k"}`:                "bad-quantity",
			`{"item":"extra_life"}`:                                                      "bad-idempotency-key",
			`{"item":"extra_life","idempotencyKey":""}`:                                  "bad-idempotency-key",
			`{"item":"extra_life","idempotencyKey":5}`:                                   "bad-idempotency-key",
			`{"item":"extra_life","idempotencyKey":"` + strings.Repeat("k", 256) + `"}`:  "bad-idempotency-key",
			`{"item":"extra_life","idempotencyKey":"a","idempotencyKey":"b"}`:            "bad-idempotency-key",
		} {
			requireProblem(t, s.post(t, body, as(t, "clumsy")...), http.StatusBadRequest, slug)
		}
		differ := s.spend(t, "clumsy", "extra_life", "one", "Idempotency-Key", "another")
		requireProblem(t, differ, http.StatusBadRequest, "bad-idempotency-key")
		longest := s.spend(t, "clumsy", "extra_life", strings.Repeat("ü", 255))
		requireProblem(t, longest, http.StatusPaymentRequired, "insufficient-funds")
	}
}

func keyInHeader(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("header", economy.Amounts{"GEM": 1000})
		const body = `{"item":"extra_life"}`
		first := s.post(t, body, as(t, "header", "Idempotency-Key", `k-1`)...)
		require.Equal(t, http.StatusOK, first.code, first)
		for _, headers := range [][]string{{"Idempotency-Key", `"k-1"`}, {"Idempotency-Key", ` k-1 `}} {
			again := s.post(t, body, as(t, "header", headers...)...)
			require.Equal(t, http.StatusOK, again.code, again)
			require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
			require.Equal(t, first.Spend.ID, again.Spend.ID)
		}
		both := s.spend(t, "header", "extra_life", "k-1", "Idempotency-Key", `"k-1"`)
		require.Equal(t, first.Spend.ID, both.Spend.ID, both)
	}
}

func unauthenticated(s *site) func(*testing.T) {
	return func(t *testing.T) {
		const body = `{"item":"extra_life","idempotencyKey":"k"}`
		expired, err := spendapi.SignSession([]byte(sessionSecret), "late", time.Minute, time.Now().Add(-time.Hour), "", "")
		require.NoError(t, err)
		foreign, err := spendapi.SignSession([]byte("a secret of somebody else, 32 b."), "late", time.Hour, time.Now(), "", "")
		require.NoError(t, err)
		part := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
		unsigned := part(`{"alg":"none","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"sub":"rich","exp":%d}`, time.Now().Add(time.Hour).Unix())) + "."
		good := session(t, "rich")
		for name, header := range map[string]string{
			"none": "", "garbage": "Bearer garbage", "expired": "Bearer " + expired, "another secret": "Bearer " + foreign,
			"alg none": "Bearer " + unsigned, "no scheme": good, "changed": "Bearer " + good[:len(good)-4] + "AAAA",
		} {
			headers := []string{"Content-Type", "application/json"}
			if header != "" {
				headers = append(headers, "Authorization", header)
			}
			r := s.post(t, body, headers...)
			requireProblem(t, r, http.StatusUnauthorized, "unauthenticated")
			require.Contains(t, r.header.Get("WWW-Authenticate"), "Bearer", name)
		}
	}
}

func notForSale(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("collector", economy.Amounts{"GEM": 1000})
		for item, slug := range map[string]string{
			"recalled_potion": "item-paused", "new_year_hat": "no-longer-on-sale", "future_hat": "not-yet-on-sale",
		} {
			requireProblem(t, s.spend(t, "collector", item, item), http.StatusForbidden, slug)
		}
		first := s.spend(t, "collector", "founders_badge", "one")
		require.Equal(t, http.StatusOK, first.code, first)
		requireProblem(t, s.spend(t, "collector", "founders_badge", "two"), http.StatusForbidden, "limit-reached")
		again := s.spend(t, "collector", "founders_badge", "one")
		require.Equal(t, http.StatusOK, again.code, again)

		anonymous := s.spend(t, "$RCAnonymousID:0123456789abcdef", "extra_life", "k")
		requireProblem(t, anonymous, http.StatusForbidden, "anonymous-player")
		require.Equal(t, economy.Amounts{"GEM": 900}, s.balance("collector"))
	}
}

func keyReused(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("muddled", economy.Amounts{"GEM": 1000})
		first := s.spend(t, "muddled", "extra_life", "k")
		require.Equal(t, http.StatusOK, first.code, first)
		other := s.spend(t, "muddled", "founders_badge", "k")
		requireProblem(t, other, http.StatusConflict, "idempotency-key-reused")
		require.Equal(t, first.Spend.ID, other.Spend.ID)
		more := s.post(t, `{"item":"extra_life","quantity":2,"idempotencyKey":"k"}`, as(t, "muddled")...)
		requireProblem(t, more, http.StatusConflict, "idempotency-key-reused")
	}
}

func badBodies(s *site) func(*testing.T) {
	return func(t *testing.T) {
		token := "Bearer " + session(t, "clumsy")
		for _, mediaType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json-ish"} {
			r := s.post(t, `{"item":"extra_life","idempotencyKey":"k"}`, "Authorization", token, "Content-Type", mediaType)
			requireProblem(t, r, http.StatusUnsupportedMediaType, "unsupported-media-type")
		}
		bare := s.post(t, `{"item":"extra_life","idempotencyKey":"k"}`, "Authorization", token)
		requireProblem(t, bare, http.StatusUnsupportedMediaType, "unsupported-media-type")
		charset := s.post(t, `{"item":"moon","idempotencyKey":"k"}`, "Authorization", token, "Content-Type", "application/json; charset=utf-8")
		requireProblem(t, charset, http.StatusBadRequest, "unknown-item")

		large := s.post(t, `{"item":"extra_life","idempotencyKey":"k","more":"`+strings.Repeat("x", 17<<10)+`"}`, as(t, "clumsy")...)
		requireProblem(t, large, http.StatusRequestEntityTooLarge, "body-too-large")
	}
}

func tooMany(s *site) func(*testing.T) {
	return func(t *testing.T) {
		const body = `{"item":"moon","idempotencyKey":"k"}`
		headers := as(t, "impatient")
		var r reply
		for range 1000 { // 100 at once and 20 a second are allowed
			if r = s.post(t, body, headers...); r.code != http.StatusBadRequest {
				break
			}
		}
		requireProblem(t, r, http.StatusTooManyRequests, "too-many-requests")
		require.Equal(t, "1", r.header.Get("Retry-After"), r)
		other := s.post(t, body, as(t, "calm")...)
		requireProblem(t, other, http.StatusBadRequest, "unknown-item")
		require.Eventually(t, func() bool {
			r, err := s.send(http.MethodPost, "/spend", body, headers...)
			return err == nil && r.code == http.StatusBadRequest
		}, 10*time.Second, 5*tick, "the player is not let in again")
	}
}
