package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// TestNoSecretInLogs: secrets, tokens, idempotency keys and player ids never get
// into the log, at its most talkative, nor into the metrics, whatever goes wrong.
func TestNoSecretInLogs(t *testing.T) {
	t.Parallel()
	const secret = "canary-session-secret-0123456789"
	s := newSite(t, "SLUICE_LOG_LEVEL=debug",
		"SLUICE_SESSION_SECRET="+secret, "SLUICE_REVENUECAT_SECRET_KEY=sk_canary_provider",
		"SLUICE_SERVER_KEYS=canary-server-1,canary-server-2", "SLUICE_ADMIN_KEYS=support:canary-admin-1,canary-admin-2",
		"SLUICE_WEBHOOK_AUTHORIZATION=Bearer canary-webhook", "SLUICE_WEBHOOK_SIGNING_SECRETS=canary-signing-1,canary-signing-2",
	).seed().up()
	const player = "canary-player"
	token, err := spendapi.SignSession([]byte(secret), player, time.Hour, time.Now(), "", "")
	require.NoError(t, err)
	unknown, err := spendapi.SignSession([]byte(secret), "canary player/unknown", time.Hour, time.Now(), "", "")
	require.NoError(t, err)
	foreign := session(t, player) // signed by another secret
	s.give(player, economy.Amounts{"GEM": 500})

	ask := func(token, item, key string) int {
		t.Helper()
		return s.post(t, `{"item":"`+item+`","idempotencyKey":"`+key+`"}`, "Authorization", "Bearer "+token, "Content-Type", "application/json").code
	}
	require.Equal(t, http.StatusOK, ask(token, "extra_life", "canary-key-1"))
	require.Equal(t, http.StatusPaymentRequired, ask(token, "legendary_skin", "canary-key-2"))
	require.Equal(t, http.StatusInternalServerError, ask(token, "cursed_relic", "canary-key-3"))
	require.Equal(t, http.StatusBadGateway, ask(unknown, "extra_life", "canary-key-4"))
	require.Equal(t, http.StatusUnauthorized, ask(foreign, "extra_life", "canary-key-5"))
	require.Equal(t, http.StatusUnauthorized, ask("canary-garbage", "extra_life", "canary-key-6"))
	require.Equal(t, http.StatusConflict, ask(token, "founders_badge", "canary-key-1"))
	require.Equal(t, http.StatusBadRequest, ask(token, "canary-item", "canary-key-7"))
	for _, fault := range []string{`{"unauthorized":true}`, `{"fail_before":1}`, `{"lose_answer":1}`, `{"locked":1}`, `{"replay_conflict":1}`} {
		s.faults(fault)
		r := s.post(t, `{"item":"extra_life","idempotencyKey":"canary-fault"}`, "Prefer", "wait=1",
			"Authorization", "Bearer "+token, "Content-Type", "application/json", "X-Request-Id", "plain")
		require.Contains(t, []int{http.StatusAccepted, http.StatusOK}, r.code, r)
	}
	s.faults(`{}`)
	webhook := `{"event":{"id":"plain-1","type":"EXPERIMENT_ENROLLMENT","app_user_id":"` + player + `","subscriber_attributes":{"$email":"canary@example.com"}}}`
	for _, test := range []struct {
		authorization, secret string
		code                  int
	}{
		{"Bearer canary-webhook", "canary-signing-2", http.StatusOK}, {"Bearer canary-webhook", "canary-signing-3", http.StatusUnauthorized},
		{"Bearer canary-else", "canary-signing-1", http.StatusUnauthorized},
	} {
		r, err := s.send(http.MethodPost, "/webhooks/revenuecat", webhook, "Authorization", test.authorization, "X-RevenueCat-Webhook-Signature", signWebhook(webhook, test.secret))
		require.NoError(t, err)
		require.Equal(t, test.code, r.code, r)
	}
	for _, path := range []string{"/spends/" + player, "/" + player + "?token=" + token, "/wallet?player=" + player, "/inventory"} {
		_, err := s.send(http.MethodGet, path, "", "Authorization", "Bearer "+token)
		require.NoError(t, err)
	}
	awaitRest(t, s.database(), time.Minute)
	metrics, err := s.send(http.MethodGet, "/metrics", "")
	require.NoError(t, err)
	require.Contains(t, metrics.raw, "sluice_provider_calls_total")
	s.program.finish()

	require.True(t, s.log.has(`"level":"DEBUG"`), "the log says little: this tests nothing")
	require.True(t, s.log.has(`"msg":"delivery"`))
	require.True(t, s.log.has(`"event_id":"plain-1"`))
	for where, text := range map[string]string{"the log": s.log.String(), "stdout": s.out.String(), "/metrics": metrics.raw} {
		for line := range strings.Lines(text) {
			lower := strings.ToLower(line)
			for _, bad := range []string{"canary", strings.ToLower(token), strings.ToLower(foreign), strings.ToLower(unknown)} {
				assert.NotContains(t, lower, bad, where)
			}
		}
	}
}
