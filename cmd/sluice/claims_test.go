package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask posts as a player.
func (s *site) ask(t testing.TB, player, path, body string) reply {
	t.Helper()
	r, err := s.send(http.MethodPost, path, body, as(t, player)...)
	require.NoError(t, err)
	return r
}

// TestAClaimIsConfirmedAndARestoreReads: the whole way over all processes. What the
// claim shows as pending the purchase brings, once its webhook came.
func TestAClaimIsConfirmedAndARestoreReads(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	launch(t, f.env, "work")
	launch(t, f.env, "relay")
	claim := func(player string) reply {
		return f.ask(t, player, "/purchases/claims", `{"store":"app_store","transaction_id":"t-1","product_id":"premium_monthly"}`)
	}
	for _, player := range []string{"ann", "eve"} {
		r := claim(player)
		require.Equal(t, http.StatusAccepted, r.code, r)
		require.Contains(t, r.raw, `"credits":{"GEM":500}`)
	}
	require.NotContains(t, f.get(t, "ann", "/inventory").raw, `"premium"`)
	taken, err := f.webhook(`{"api_version":"1.0","event":{"id":"event-1","type":"INITIAL_PURCHASE","event_timestamp_ms":1772366400000,"app_user_id":"ann",
		"environment":"PRODUCTION","store":"APP_STORE","transaction_id":"t-1","original_transaction_id":"t-1","product_id":"premium_monthly",
		"purchased_at_ms":1772366400000,"expiration_at_ms":4102444800000,"period_type":"NORMAL"}}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, taken.code, taken)
	require.Eventually(t, func() bool { return claim("ann").code == http.StatusOK }, startPatience, tick)
	requireProblem(t, claim("eve"), http.StatusForbidden, "purchase-of-another")
	require.Eventually(t, func() bool { return strings.Contains(f.get(t, "ann", "/inventory").raw, `"premium"`) }, startPatience, tick)
	require.NotContains(t, f.get(t, "eve", "/inventory").raw, `"premium"`)

	r := f.ask(t, "ann", "/purchases/restore", "")
	require.Equal(t, http.StatusAccepted, r.code, r)
	require.Eventually(t, func() bool { return f.ask(t, "ann", "/purchases/restore", "").code == http.StatusOK }, startPatience, tick)
}

// TestAnOutageIsToldWithTheCommandThatMakesUpForIt: serve was away for longer than
// RevenueCat tries. Running what `sluice lag` prints ends the alarm.
func TestAnOutageIsToldWithTheCommandThatMakesUpForIt(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	db := f.database()
	var beats int
	require.Eventually(t, func() bool { return db.Get(&beats, "SELECT count(*) FROM webhook_heartbeat") == nil && beats == 1 }, startPatience, tick)
	f.serve.kill()
	lag := func() string {
		_, out, log := runs(t, f.env, "lag")
		require.Empty(t, log)
		return out
	}
	require.Contains(t, lag(), "The last webhook came")
	_, err := db.Exec("UPDATE webhook_heartbeat SET since = since - interval '1 day', beat_at = beat_at - interval '4 hours'")
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO purchases (recorded_at, expires_at, version, change_id, store, environment, transaction_id, app_user_id, product_id, stamps)
		VALUES (now(), now() - interval '2 hours', 1, gen_random_uuid(), 'app_store', 'production', 't', 'ann', 'premium_monthly', '{}')`)
	require.NoError(t, err)
	f.serve = launch(t, f.env, "serve")
	f.awaitReady(http.StatusOK, `"database":"ok"`)
	f.serve.await(&f.serve.log, "webhooks may be missing")
	requireMetrics(t, f.client, f.apiAddr, `sluice_webhook_suspect_windows{cause="outage"} 1`)
	said := regexp.MustCompile(`SUSPECT: Webhooks may be missing .*\n +sluice (webhooks resync --from \S+ --until \S+)\n`).FindStringSubmatch(lag())
	require.Len(t, said, 2)
	code, out, log := runs(t, f.env, strings.Fields(said[1])...)
	require.Zero(t, code, log)
	require.Contains(t, out, "1 player will be read again, 0 were wished for before. 1 gap is marked as made up for.")
	require.NotContains(t, lag(), "SUSPECT")
	var reason string
	require.NoError(t, db.Get(&reason, "SELECT payload::jsonb->'data'->>'reason' FROM outbox WHERE consumer = 'resync'"))
	require.Equal(t, "silence", reason)
	code, out, log = runs(t, f.env, strings.Fields(said[1])...)
	require.Zero(t, code, log)
	require.Contains(t, out, "0 players will be read again, 1 was wished for before. 0 gaps", "repeating it reads nobody twice")
	code, _, _ = runs(t, f.env, "webhooks", "resync", "--from", time.Now().Format(time.RFC3339), "--until", "2026-01-01T00:00:00Z")
	require.Equal(t, exitBadUsage, code)
}
