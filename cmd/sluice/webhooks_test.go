package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/producers/rcwebhook"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// What proves the webhooks of the tests.
const (
	webhookAuthorization = "Bearer the webhooks of the tests"
	webhookSecret        = "what-signs-the-webhooks-of-the-tests"
)

// signWebhook returns the signature header of a body that is sent now.
func signWebhook(body, secret string) string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%s", at, body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// webhook posts a body as RevenueCat does, signed at this attempt.
func (s *site) webhook(body string) (reply, error) {
	return s.send(http.MethodPost, "/webhooks/revenuecat", body,
		"Authorization", webhookAuthorization, "X-RevenueCat-Webhook-Signature", signWebhook(body, webhookSecret), "Content-Type", "application/json")
}

// boughtEvent is the event of a purchase of its own.
func boughtEvent(n int) (id, body string) {
	id = fmt.Sprintf("event-%06d", n)
	return id, fmt.Sprintf(`{"api_version":"1.0","event":{"id":%q,"type":"NON_RENEWING_PURCHASE","event_timestamp_ms":%d,"app_user_id":"buyer-%d",
		"environment":"PRODUCTION","store":"APP_STORE","transaction_id":"t-%d","original_transaction_id":"t-%d","product_id":"gems_100",
		"purchased_at_ms":1772366400000,"expiration_at_ms":null,"period_type":"NORMAL"}}`, id, 1772366400000+n, n%50, n, n)
}

// sender sends webhooks as RevenueCat does: again until the answer is 200, and now
// and then once more.
type sender struct {
	site     *site
	next     atomic.Int64
	cut      atomic.Int64 // attempts without an answer
	mu       sync.Mutex
	answered []string // ids that were answered 200
	strange  []string
}

func (d *sender) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.answered)
}

// send sends one event until it is taken.
func (d *sender) send(n int) {
	id, body := boughtEvent(n)
	for range 10_000 {
		r, err := d.site.webhook(body)
		switch {
		case err != nil:
			d.cut.Add(1)
			pass(d.site.t, tick)
		case r.code == http.StatusOK && r.raw == "":
			d.mu.Lock()
			d.answered = append(d.answered, id)
			d.mu.Unlock()
			return
		case r.code != http.StatusServiceUnavailable:
			d.mu.Lock()
			d.strange = append(d.strange, r.String())
			d.mu.Unlock()
			return
		}
		if d.site.t.Context().Err() != nil {
			return
		}
	}
}

// TestAKilledServeLosesNoWebhookThatItAnswered: `serve` is killed again and again
// while webhooks come in and are sent again. What was answered 200 is there at once,
// and in the end every event is there once, owed once and had one effect.
func TestAKilledServeLosesNoWebhookThatItAnswered(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	db := f.database()
	kills, total := longer(3, 20), longer(900, 20_000)
	d := &sender{site: &f.site}
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for n := int(d.next.Add(1)); n <= total; n = int(d.next.Add(1)) {
				d.send(n)
				if n%7 == 0 {
					d.send(n)
				}
			}
		})
	}
	for i := range kills {
		reached := (i + 1) * total / (kills + 1)
		require.Eventually(t, func() bool { return len(d.done()) >= reached || len(d.strange) > 0 }, 2*time.Minute, time.Millisecond)
		f.serve.kill()
		answered := d.done()
		var kept []string
		require.NoError(t, db.SelectContext(t.Context(), &kept, "SELECT k.event_key FROM webhook_keys k JOIN webhook_events e ON e.id = k.webhook_id"))
		there := map[string]bool{}
		for _, id := range kept {
			there[id] = true
		}
		for _, id := range answered {
			require.True(t, there[id], "%s was answered 200 and is not there", id)
		}
		f.serve = launch(t, f.env, "serve")
		f.awaitReady(http.StatusOK, `"database":"ok"`)
	}
	senders.Wait()
	require.Empty(t, d.strange)
	require.Positive(t, d.cut.Load(), "no webhook met a dead server: this tests nothing")
	t.Logf("%d attempts had no answer", d.cut.Load())
	for what, query := range map[string]string{
		"keys": "SELECT count(*) FROM webhook_keys", "events": "SELECT count(*) FROM webhook_events WHERE verdict = 'accepted'",
		"owed": "SELECT count(DISTINCT event_id) FROM outbox WHERE event_id IN (SELECT id || '.received' FROM webhook_events)",
	} {
		assert.Equal(t, total, count(t, db, query), what)
	}
	launch(t, f.env, "relay")
	launch(t, f.env, "work")
	require.Eventually(t, func() bool {
		var owed int
		err := db.GetContext(t.Context(), &owed, "SELECT count(*) FROM outbox")
		return err == nil && owed == 0
	}, 3*time.Minute, 5*tick, "deliveries stay owed")
	for what, query := range map[string]string{
		"purchases": "SELECT count(*) FROM purchases", "statements": "SELECT count(*) FROM purchase_versions",
		"first versions": "SELECT count(*) FROM purchases WHERE version = 1",
	} {
		assert.Equal(t, total, count(t, db, query), what)
	}
	assert.Zero(t, count(t, db, "SELECT count(*) FROM dead_letters"))
}

// TestWhatProvesWebhooksRotatesWithItsFiles: without a restart.
func TestWhatProvesWebhooksRotatesWithItsFiles(t *testing.T) {
	t.Parallel()
	authorization, secrets := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "s")
	write := func(a, s string) {
		require.NoError(t, os.WriteFile(authorization, []byte(a), 0o600))
		require.NoError(t, os.WriteFile(secrets, []byte(s), 0o600))
	}
	write("Bearer one\n", "one\n")
	cfg, err := config.LoadEnviron([]string{"SLUICE_WEBHOOK_AUTHORIZATION_FILE=" + authorization, "SLUICE_WEBHOOK_SIGNING_SECRETS_FILE=" + secrets}, os.ReadFile)
	require.NoError(t, err)
	proof := (&process{config: cfg, log: slog.New(slog.DiscardHandler)}).webhookProof()
	require.Equal(t, "Bearer one", proof.Authorization())
	require.Equal(t, []string{"one"}, proof.Secrets())
	write("Bearer two\n", "two, one\n")
	require.Eventually(t, func() bool {
		return proof.Authorization() == "Bearer two" && slices.Equal(proof.Secrets(), []string{"two", "one"})
	}, startPatience, tick)
}

func TestWebhooksThatAreOffHaveNoEndpoint(t *testing.T) {
	t.Parallel()
	cfg, err := config.LoadEnviron([]string{"SLUICE_WEBHOOK_ENABLED=false"}, os.ReadFile)
	require.NoError(t, err)
	mux := http.NewServeMux()
	require.NoError(t, (&process{config: cfg, log: slog.New(slog.DiscardHandler)}).webhooks(t.Context(), mux))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhooks/revenuecat", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
}

// TestAWebhooksProblemsAreCalledAsOthersAre: one type has one status and one title.
func TestAWebhooksProblemsAreCalledAsOthersAre(t *testing.T) {
	t.Parallel()
	known := map[string]*spendapi.ProblemType{}
	for _, kind := range spendapi.Problems {
		known[kind.Slug] = kind
	}
	shared := 0
	for _, p := range rcwebhook.Problems() {
		if kind, both := known[p.Slug]; both {
			shared++
			assert.Equal(t, []any{kind.Status, kind.Title}, []any{p.Status, p.Title}, p.Slug)
		}
	}
	require.Positive(t, shared)
}
