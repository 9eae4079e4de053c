package console_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/console"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The keys of the tests.
const (
	viewerKey   = "viewer-key-of-the-tests"
	supportKey  = "support-key-of-the-tests"
	operatorKey = "operator-key-of-the-tests"
)

// house is a console over a database of its own, with nobody who works.
type house struct {
	*console.Console
	t       testing.TB
	db      *sqlx.DB
	desk    *operations.Desk
	url     string
	log     *logText
	advance func(time.Duration) // lets time pass
	config  console.Config
}

// logText is a log that a test reads.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	db := testenv.Postgres(t)
	owed := outbox.Subscriptions{
		events.SpendRequestedV1: {"adjust"}, events.SpendChargedV1: {"fulfil"}, events.SpendRefundingV1: {"compensate"},
		events.StoreWebhookReceivedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"},
	}
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: owed})
	t.Cleanup(committer.Close)
	catalog, err := books.NewCatalogs(db).Store(t.Context(), economy.Catalog{Items: map[string]economy.Item{
		"sword":  {ID: "sword", QuantityMin: 1, QuantityMax: 9, Price: economy.Amounts{"GEM": 50}, HandOver: economy.HandOver{Port: economy.HandOverInventory}},
		"banner": {ID: "banner", QuantityMin: 1, QuantityMax: 1, Price: economy.Amounts{"GEM": 5}, HandOver: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "guild"}},
	}})
	require.NoError(t, err)
	var clock struct {
		sync.Mutex
		ahead time.Duration
	}
	now := func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return time.Now().Add(clock.ahead).UTC().Truncate(time.Microsecond)
	}
	h := &house{t: t, db: db, log: &logText{}, advance: func(d time.Duration) { clock.Lock(); defer clock.Unlock(); clock.ahead += d }}
	h.desk = operations.New(operations.Config{
		DB: db, Committer: committer, Catalogs: books.NewCatalogs(db), Owed: owed, Now: now, NewID: outbox.NewID,
	})
	h.config = console.Config{
		DB: db, Books: books.New(db), Purchases: purchases.NewStore(db), Backfills: backfill.Runs{DB: db}, Monitor: monitor.New(db, nil), Operations: h.desk,
		Keys:      []console.Key{{Role: console.Viewer, Key: viewerKey}, {Role: console.Support, Key: supportKey}, {Role: console.Operator, Key: operatorKey}},
		Consumers: []string{"adjust", "fulfil"}, Lanes: []string{"live"},
		Catalog: func() economy.Catalog { return catalog },
		Settings: func() []console.Setting {
			return []console.Setting{{Variable: "SLUICE_SESSION_SECRET", Value: "***", Doc: "a secret"}}
		},
		TraceLink: func(id string) string {
			if id == "" {
				return ""
			}
			return "https://traces.example.com/" + id
		},
		Now: now, Log: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	h.Console, h.url = h.serve(h.config)
	return h
}

// serve starts another process's console over the same database.
func (h *house) serve(cfg console.Config) (*console.Console, string) {
	h.t.Helper()
	c := console.New(cfg)
	mux := http.NewServeMux()
	c.Routes(mux)
	server := httptest.NewServer(mux)
	h.t.Cleanup(server.Close)
	h.t.Cleanup(c.Leave)
	return c, server.URL
}

// person is a browser, as far as requests go.
type person struct {
	t      testing.TB
	client *http.Client
	url    string
}

func (h *house) visitor() *person {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(h.t, err)
	return &person{h.t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, h.url}
}

// enter logs in.
func (h *house) enter(key string) *person {
	h.t.Helper()
	p := h.visitor()
	a := p.logIn("Anna", key)
	require.Equal(h.t, http.StatusSeeOther, a.status, a.body)
	return p
}

// answer is what a page was.
type answer struct {
	status int
	header http.Header
	body   string
}

func (p *person) do(method, path string, form url.Values, header ...string) answer {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	require.NoError(p.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w, err := p.client.Do(r)
	require.NoError(p.t, err)
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	require.NoError(p.t, err)
	return answer{w.StatusCode, w.Header, string(text)}
}

func (p *person) get(path string) answer { p.t.Helper(); return p.do(http.MethodGet, path, nil) }

// page is get of what must be there.
func (p *person) page(path string) string {
	p.t.Helper()
	a := p.get(path)
	require.Equal(p.t, http.StatusOK, a.status, "%s\n%s", path, a.body)
	return a.body
}

var formTokens = regexp.MustCompile(`name="form" value="([^"]+)"`)

// token is what the forms of a page carry.
func (p *person) token(path string) string {
	p.t.Helper()
	found := formTokens.FindStringSubmatch(p.page(path))
	require.NotEmpty(p.t, found, "%s has no form", path)
	return html.UnescapeString(found[1])
}

func (p *person) logIn(name, key string) answer {
	p.t.Helper()
	return p.do(http.MethodPost, "/console/login", url.Values{"form": {p.token("/console/login")}, "name": {name}, "key": {key}})
}

// send sends a form of ours, with a reason.
func (p *person) send(path string, fields ...string) answer {
	p.t.Helper()
	form := url.Values{"form": {p.token("/console/spends")}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	if !form.Has("reason") {
		form.Set("reason", "a test")
	}
	return p.do(http.MethodPost, path, form)
}

// spend writes a spend at a moment as it stands in a state, with its ledger lines.
func (h *house) spend(player, item, state string, at time.Time) (id string) {
	h.t.Helper()
	id = fmt.Sprintf("%012x", at.UnixMilli())
	random := outbox.NewID()
	id = id[:8] + "-" + id[8:] + random[13:] // its version, and what is random
	adjustment, err := outbox.NewID(), error(nil)
	exec := func(query string, args ...any) {
		_, err = h.db.Exec(query, args...)
		require.NoError(h.t, err)
	}
	open := state == "requested" || state == "charged" || state == "refunding"
	left := map[string]any{"requested": nil, "charged": "requested", "declined": "requested", "fulfilled": "charged", "refunding": "charged", "refunded": "refunding"}[state]
	var finished, bound any
	if !open {
		finished = at.Add(time.Second)
	}
	if state != "requested" && state != "declined" {
		bound = adjustment
		exec(`INSERT INTO adjustments (id, attempts, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			VALUES ($1::uuid, 1, $2, $2, $2, $1::uuid, $3, 'charge', 'applied', $1::uuid::text || ':charge', '{}', '', '{"GEM":-50}')`, adjustment, at, player)
		exec(`INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit) VALUES ($1, 50, $2, $3, 'charge', 'GEM', 'wallet', 'in_flight')`, id, at, player)
	}
	exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
		VALUES ($1::uuid, 1, 1, $2, $3, $4, $1::uuid, $5, $1::uuid::text || '-tap', $6, $7, $8, '{"GEM":50}')`, id, at, finished, bound, player, item, state, left)
	return id
}

// deadLetter sets the delivery of a requested spend aside.
func (h *house) deadLetter(spendID, player, why string) operations.LetterKey {
	h.t.Helper()
	e := events.NewSpendRequested(spendID, player, time.Now())
	raw, err := e.Encode()
	require.NoError(h.t, err)
	_, err = h.db.Exec(`INSERT INTO dead_letters (attempts, event_id, consumer, lane, subject, error, payload, type, app_user_id, reason)
		VALUES (5, $1, 'adjust', 'live', $2, $3, $4, $5, $6, 'panic')`, e.ID, e.Subject(), why, raw, string(e.Type), player)
	require.NoError(h.t, err)
	return operations.LetterKey{EventID: e.ID, Consumer: "adjust"}
}

// count returns what a query counts.
func (h *house) count(query string, args ...any) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.db.Get(&n, query, args...))
	return n
}
