package spendapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/bench/load"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// BenchmarkAccept measures durable accepts a second through the whole handler,
// with the load generator in the same process, three ways in one run: the group
// committer, one statement per request, and BEGIN, two INSERTs and COMMIT per
// request on a pool of 64. Every way has a database of its own with fsync on; the
// ways take turns, so that noise hits all of them, and the medians are compared.
//
//	go test -run '^$' -bench Accept -benchtime 1x ./producers/spendapi
func BenchmarkAccept(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as cmd/sluice does, for all ways alike
	for _, clients := range []int{64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			server := testenv.DurablePostgres(b)
			ways := []way{
				{"group_commit", newHandler(b, groupCommit(b, server.URL()))},
				{"one_statement", newHandler(b, perRequest{pool(b, server.URL()), oneStatement})},
				{"two_inserts", newHandler(b, perRequest{pool(b, server.URL()), twoInserts})},
			}
			const rounds, span = 5, 2 * time.Second
			rates := map[string][]float64{}
			for range b.N {
				for round := range rounds + 1 {
					for _, way := range ways {
						rate := ask(b, way.url, clients, span)
						if round > 0 { // the first warms up
							rates[way.name] = append(rates[way.name], rate)
						}
					}
				}
			}
			for _, way := range ways {
				b.ReportMetric(median(rates[way.name]), way.name+"/s")
			}
			base := median(rates["two_inserts"])
			b.ReportMetric(median(rates["group_commit"])/base, "x_two_inserts")
			b.ReportMetric(median(rates["group_commit"])/median(rates["one_statement"]), "x_one_statement")
			b.ReportMetric(0, "ns/op")
		})
	}
}

type way struct{ name, url string }

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

var benchSubscriptions = outbox.Subscriptions{events.SpendRequestedV1: {"adjust"}}

func pool(b *testing.B, url string) *sqlx.DB {
	b.Helper()
	db, err := postgres.Open(b.Context(), postgres.Config{URL: url, MaxConns: 64})
	require.NoError(b, err)
	db.SetMaxIdleConns(64)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func groupCommit(b *testing.B, url string) spendapi.Committer {
	b.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{
		DB: pool(b, url), Subscriptions: benchSubscriptions, Log: slog.New(slog.DiscardHandler),
	})
	b.Cleanup(committer.Close)
	return committer
}

// perRequest is what one would write without a committer.
type perRequest struct {
	db    *sqlx.DB
	store func(ctx context.Context, db *sqlx.DB, spend economy.Spend, event events.Event, payload string) (bool, error)
}

func (p perRequest) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	accept, ok := effects.Guard.(books.Accept)
	if !ok || len(effects.Events) != 1 {
		return 0, errors.New("not the effects of an accepted spend")
	}
	payload, err := effects.Events[0].Encode()
	if err != nil {
		return 0, err
	}
	switch applied, err := p.store(ctx, p.db, accept.Spend, effects.Events[0], string(payload)); {
	case err != nil:
		return 0, err
	case !applied:
		return outbox.Duplicate, nil
	}
	return outbox.Applied, nil
}

const (
	insertSpend = `INSERT INTO spends (id, app_user_id, idempotency_key, item, quantity, cost, catalog_version, accepted_at, change_id, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $1, 'requested') ON CONFLICT (app_user_id, idempotency_key) DO NOTHING`
	insertOutbox = "INSERT INTO outbox (event_id, consumer, lane, subject, payload) "
)

func spendArgs(s economy.Spend) []any {
	return []any{s.ID, s.AppUserID, s.IdempotencyKey, s.Item, s.Quantity, string(books.EncodeAmounts(s.Cost)), s.CatalogVersion, s.AcceptedAt}
}

func twoInserts(ctx context.Context, db *sqlx.DB, spend economy.Spend, event events.Event, payload string) (bool, error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	result, err := tx.ExecContext(ctx, insertSpend, spendArgs(spend)...)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	_, err = tx.ExecContext(ctx, insertOutbox+"VALUES ($1, 'adjust', $2, $3, $4)", event.ID, string(event.Lane), event.Subject(), payload)
	if err != nil {
		return false, err
	}
	return true, tx.Commit()
}

func oneStatement(ctx context.Context, db *sqlx.DB, spend economy.Spend, event events.Event, payload string) (bool, error) {
	args := append(spendArgs(spend), event.ID, string(event.Lane), event.Subject(), payload)
	result, err := db.ExecContext(ctx, "WITH s AS ("+insertSpend+" RETURNING 1) "+
		insertOutbox+"SELECT $9, 'adjust', $10, $11, $12::json FROM s", args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// benchBooks, benchClaims, benchBought and benchProvider are never asked: the requests want no outcome.
type (
	benchBooks    struct{ spendapi.Books }
	benchClaims   struct{ spendapi.Claims }
	benchBought   struct{ spendapi.Purchases }
	benchProvider struct{}
)

func (benchProvider) Balances(context.Context, string) (revenuecat.Reading, error) {
	return revenuecat.Reading{}, errors.New("not asked here")
}

var benchSecret = []byte("a secret of benchmarks, 32 bytes")

// newHandler serves the API on loopback over a committer and returns its URL.
func newHandler(b *testing.B, committer spendapi.Committer) string {
	b.Helper()
	sessions, err := spendapi.NewSessionVerifier(spendapi.SessionConfig{Secret: benchSecret})
	require.NoError(b, err)
	catalog := economy.Catalog{Version: 1, Items: map[string]economy.Item{"extra_life": {
		ID: "extra_life", Price: economy.Amounts{"GEM": 50}, QuantityMin: 1, QuantityMax: 99, HandOver: economy.HandOver{Port: economy.HandOverInventory},
	}}}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // a log line costs what it costs: it is written, and thrown away
	api, err := spendapi.New(spendapi.Config{
		Committer: committer, Books: benchBooks{}, Provider: benchProvider{}, Claims: benchClaims{}, Purchases: benchBought{}, Sessions: sessions,
		Catalog: func() economy.Catalog { return catalog }, Log: log,
	})
	require.NoError(b, err)
	b.Cleanup(api.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := spendapi.NewServer(listener.Addr().String(), api.Handler(), log)
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

var benchKeys atomic.Int64

// ask sends requests over clients keep-alive connections for a span and returns
// the accepts a second. Any answer but 202 fails the benchmark.
func ask(b *testing.B, addr string, clients int, span time.Duration) float64 {
	b.Helper()
	players := make([]load.Caller, 1000)
	for i := range players {
		token, err := spendapi.SignSession(benchSecret, fmt.Sprintf("player-%d", i), time.Hour, time.Now(), "", "")
		require.NoError(b, err)
		players[i].Token = token
	}
	var accepted atomic.Int64
	var group sync.WaitGroup
	started := time.Now()
	for client := range clients {
		group.Go(func() {
			c, err := load.Dial(b.Context(), load.Target{Addr: addr, Item: "extra_life"})
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			for n := client; time.Since(started) < span; n++ {
				answer, err := c.Spend(players[n%len(players)], benchKeys.Add(1))
				if err != nil || answer.Status != http.StatusAccepted {
					b.Errorf("status %d, %v", answer.Status, err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	group.Wait()
	return float64(accepted.Load()) / time.Since(started).Seconds()
}
