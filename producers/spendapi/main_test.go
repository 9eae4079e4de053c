package spendapi

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) {
	testenv.Main(m)
	contract.RequireSeen("Spending", "What a player has", "Purchases with money", "For game servers")
}

var update = flag.Bool("update", false, "write the golden files anew")

const (
	secret = "test-secret-0123456789-0123456789"
	player = "player-42"

	serverKey, oldServerKey, adminKey = "server-key-new", "server-key-old", "admin-key"
)

// start is when every test begins; its clock stands still unless moved.
var start = time.Date(2026, 1, 2, 3, 4, 5, 600_700_800, time.UTC)

// clock is a clock that is set by the test.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(start.UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

// commitFunc is a Committer.
type commitFunc func(context.Context, outbox.Effects) (outbox.Result, error)

func (f commitFunc) Commit(ctx context.Context, e outbox.Effects) (outbox.Result, error) {
	return f(ctx, e)
}

// providerFunc is a Provider.
type providerFunc func(ctx context.Context, appUserID string) (revenuecat.Reading, error)

func (f providerFunc) Balances(ctx context.Context, id string) (revenuecat.Reading, error) {
	return f(ctx, id)
}

// noBooks is for tests that must not reach the database.
type noBooks struct{ Books }

// testBundle is an API on a real database with a real committer.
type testBundle struct {
	*API
	db        *sqlx.DB
	clock     *clock
	log       *syncBuffer
	handler   http.Handler
	committed chan economy.Spend // every spend right after its commit
}

// setup starts an API on the test's own database. change may alter its
// configuration.
func setup(t *testing.T, change ...func(*Config)) *testBundle {
	t.Helper()
	db := testenv.Postgres(t)
	return setupOn(t, db, newCommitter(t, db), change...)
}

func newCommitter(t *testing.T, db *sqlx.DB) *outbox.Committer {
	t.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{
		DB: db, Subscriptions: outbox.Subscriptions{events.SpendRequestedV1: {"adjust"}, events.CustomerResyncRequestedV1: {"resync"}},
		Patience: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(committer.Close)
	return committer
}

func setupOn(t *testing.T, db *sqlx.DB, committer Committer, change ...func(*Config)) *testBundle {
	t.Helper()
	b := &testBundle{db: db, clock: newClock(), log: &syncBuffer{}, committed: make(chan economy.Spend, 1000)}
	sessions, err := NewSessionVerifier(SessionConfig{Secret: []byte(secret), Now: b.clock.now})
	require.NoError(t, err)
	ids := atomic.Int64{}
	c := Config{
		Committer: commitFunc(func(ctx context.Context, e outbox.Effects) (outbox.Result, error) {
			result, err := committer.Commit(ctx, e)
			if accept, ok := e.Guard.(books.Accept); ok && result == outbox.Applied {
				b.committed <- accept.Spend
			}
			return result, err
		}),
		Books: books.New(db), Claims: purchases.NewStore(db), Purchases: purchases.NewStore(db), Sessions: sessions,
		Provider: providerFunc(func(context.Context, string) (revenuecat.Reading, error) {
			return revenuecat.Reading{StartedAt: b.clock.now()}, nil
		}),
		Catalog:    catalog(nil),
		ServerKeys: []string{serverKey, oldServerKey}, AdminKeys: []string{adminKey}, GrantMax: 10_000,
		Now:   func() time.Time { return b.clock.now().UTC().Truncate(time.Microsecond) },
		NewID: func() string { return fmt.Sprintf("01980000-0000-7000-8000-%012d", ids.Add(1)) },
		Log:   slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&c)
	}
	b.API, err = New(c)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	b.handler = b.Handler()
	return b
}

// catalog returns the test's catalogue, changed.
func catalog(change func(economy.Catalog)) func() economy.Catalog {
	item := func(id string, price economy.Amounts) economy.Item {
		return economy.Item{
			ID: id, Name: id, Price: price, QuantityMin: 1, QuantityMax: 10,
			HandOver: economy.HandOver{Port: economy.HandOverInventory},
		}
	}
	c := economy.Catalog{Version: 7, Items: map[string]economy.Item{}, Packages: packages}
	for _, it := range []economy.Item{
		item("extra_life", economy.Amounts{"GEM": 50}), item("bundle", economy.Amounts{"GEM": 100, "COIN": 3}),
		item("paused", economy.Amounts{"GEM": 1}), item("tomorrow", economy.Amounts{"GEM": 1}),
		item("yesterday", economy.Amounts{"GEM": 1}), item("limited", economy.Amounts{"GEM": 5}),
	} {
		switch it.ID {
		case "paused":
			it.Paused = true
		case "tomorrow":
			it.AvailableFrom = start.Add(time.Hour)
		case "yesterday":
			it.AvailableUntil = start.Add(-time.Hour)
		case "limited":
			it.PlayerLimit = 3
		}
		c.Items[it.ID] = it
	}
	if change != nil {
		change(c)
	}
	return func() economy.Catalog { return c }
}

// move takes a spend along the road, as the consumers would, and returns it. What
// a grant is bound to is of no interest here.
func (b *testBundle) move(t testing.TB, id string, reason economy.Reason, states ...economy.State) economy.Spend {
	t.Helper()
	ctx := t.Context()
	for i, state := range states {
		at := b.clock.now().Add(time.Duration(i+1) * time.Second)
		if state == economy.Charged || i == 0 && state == economy.Fulfilled {
			_, err := b.db.ExecContext(ctx, `INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id,
				purpose, state, idempotency_key, body, leased_by, deltas) VALUES ($1::uuid, now(), now(), now(), $1::uuid, 'x', 'charge', 'applied', $1::text, '', '', '{}') ON CONFLICT DO NOTHING`, id)
			require.NoError(t, err)
			_, err = b.db.ExecContext(ctx, `UPDATE spends SET adjustment_id = id, charged_at = CASE WHEN kind = 'spend' THEN $2::timestamptz END WHERE id = $1`, id, at)
			require.NoError(t, err)
		}
		_, err := b.db.ExecContext(ctx, `UPDATE spends SET left_state = state, state = $2, reason = $3, finished_at = CASE WHEN $4 THEN $5::timestamptz END
			WHERE id = $1`, id, string(state), string(reason), state.Final(), at)
		require.NoError(t, err)
	}
	spend, err := books.New(b.db).Spend(ctx, id)
	require.NoError(t, err)
	return spend
}

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

// lines returns the log's "request" lines.
func (b *syncBuffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for decoder := json.NewDecoder(strings.NewReader(b.String())); ; {
		var line map[string]any
		if err := decoder.Decode(&line); err == io.EOF {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "request" {
			lines = append(lines, line)
		}
	}
}
