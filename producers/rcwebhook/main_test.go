package rcwebhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) {
	testenv.Main(m)
	contract.RequireSeen("For RevenueCat")
}

const (
	authorization = "Bearer of webhooks"
	secret        = "a signing secret"
	oldSecret     = "the signing secret before"
)

// start is the clock of every test; it stands still.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)

// commitFunc is a Committer.
type commitFunc func(context.Context, outbox.Effects) (outbox.Result, error)

func (f commitFunc) Commit(ctx context.Context, e outbox.Effects) (outbox.Result, error) {
	return f(ctx, e)
}

// bundle is an intake on a real database with a real committer.
type bundle struct {
	*Intake
	db  *sqlx.DB
	log *syncBuffer
}

func setup(t *testing.T, change ...func(*Config)) *bundle {
	t.Helper()
	db := testenv.Postgres(t)
	return setupOn(t, db, newCommitter(t, db, 0), change...)
}

// newCommitter starts a committer; a patience of 0 is its default.
func newCommitter(t testing.TB, db *sqlx.DB, patience time.Duration) *outbox.Committer {
	t.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{
		DB: db, Log: slog.New(slog.DiscardHandler), Patience: patience,
		Subscriptions: outbox.Subscriptions{events.StoreWebhookReceivedV1: {"access"}, events.StoreCurrencyMovedV1: {"mirror"}, events.SpendRequestedV1: {"adjust"}},
	})
	t.Cleanup(committer.Close)
	return committer
}

func setupOn(t *testing.T, db *sqlx.DB, committer Committer, change ...func(*Config)) *bundle {
	t.Helper()
	log := &syncBuffer{}
	c := Config{
		Committer: committer, Environments: Environments{Production: true, Sandbox: true},
		Proof: Proof{
			Authorization: func() string { return authorization }, Secrets: func() []string { return []string{secret, oldSecret} }, Tolerance: 5 * time.Minute,
		},
		Now: func() time.Time { return start },
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&c)
	}
	in, err := New(c)
	require.NoError(t, err)
	return &bundle{in, db, log}
}

// sign returns the signature header of a body.
func sign(body []byte, at time.Time, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	header := "t=" + t
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = fmt.Fprintf(mac, "%s.%s", t, body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}

// webhook is a request as RevenueCat sends it.
func webhook(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	r.Header.Set("Authorization", authorization)
	r.Header.Set("X-RevenueCat-Webhook-Signature", sign(body, start, secret))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// do sends a request, holds the answer against the description of the API and
// returns it.
func (b *bundle) do(t testing.TB, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	var sent strings.Builder // as much of the body as was read
	r.Body = io.NopCloser(io.TeeReader(r.Body, &sent))
	w := httptest.NewRecorder()
	mux := http.NewServeMux()
	b.Routes(mux)
	mux.ServeHTTP(w, r)
	contract.Check(t, contract.Exchange{Request: r, Sent: sent.String(), Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
	return w
}

func (b *bundle) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, b.db.GetContext(t.Context(), &n, query, args...))
	return n
}

// requireKept compares how many rows of each sort there are.
func (b *bundle) requireKept(t testing.TB, rows, owed int, why ...any) {
	t.Helper()
	got := []int{b.count(t, "SELECT count(*) FROM webhook_keys"), b.count(t, "SELECT count(*) FROM webhook_events"), b.count(t, "SELECT count(*) FROM outbox")}
	require.Equal(t, []int{rows, rows, owed}, got, why...)
}

// samples are the documented events, by file.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../internal/revenuecat/webhooks/testdata/*.json")
	require.NoError(t, err)
	require.Greater(t, len(paths), 25)
	out := map[string][]byte{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		out[filepath.Base(path)] = raw
	}
	return out
}

// event is a body with an id, a type and more members.
func event(id, kind, more string) []byte {
	return []byte(`{"api_version":"1.0","event":{"id":"` + id + `","type":"` + kind + `","event_timestamp_ms":1772366400000` + more + `}}`)
}

const purchase = `,"app_user_id":"ann","environment":"PRODUCTION","store":"APP_STORE","transaction_id":"t1","product_id":"gems","purchased_at_ms":1772366400000`

// syncBuffer is a log that many goroutines write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
