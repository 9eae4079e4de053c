package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/access"
	"github.com/sluice-gems/sluice/consumers/resync"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/rcwebhook"
)

// shopping is the purchase side in one piece: the simulator, the webhooks' intake
// behind HTTP, PostgreSQL, and the consumers, fed from the outbox in an order that a
// seed makes. Time is the test's.
type shopping struct {
	*simulator.Simulator
	t         *testing.T
	db        *sqlx.DB
	committer *outbox.Committer
	store     *purchases.Store
	runners   map[string]*consumers.Runner
	random    *rand.Rand

	mu  sync.Mutex
	now time.Time
}

const intakeAuthorization = "Bearer of the convergence test"

func newShopping(t *testing.T, seed uint64) *shopping {
	t.Helper()
	s := &shopping{
		t: t, db: testenv.Postgres(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		random: rand.New(rand.NewPCG(seed, 0)), runners: map[string]*consumers.Runner{},
	}
	s.committer = outbox.NewCommitter(outbox.CommitterConfig{DB: s.db, Subscriptions: outbox.Subscriptions{
		events.StoreWebhookReceivedV1: {"access"}, events.StorePurchaseChangedV1: {"access"}, events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"},
		events.CustomerResyncRequestedV1: {"resync"}, events.StoreCurrencyMovedV1: {"mirror"},
	}})
	t.Cleanup(s.committer.Close)
	intake, err := rcwebhook.New(rcwebhook.Config{
		Committer: s.committer, Proof: rcwebhook.Proof{Authorization: func() string { return intakeAuthorization }},
		Environments: rcwebhook.Environments{Production: true, Sandbox: true}, Now: s.clock,
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	intake.Routes(mux)
	api := httptest.NewServer(mux)
	s.Simulator, err = simulator.New(stock(simulator.Config{Now: s.clock, Webhooks: simulator.Webhooks{
		URL: webhookURL(strings.TrimPrefix(api.URL, "http://")), Authorization: intakeAuthorization,
	}}, config.DemoCatalog()))
	require.NoError(t, err)
	provider := httptest.NewServer(s.Simulator)
	t.Cleanup(func() { require.NoError(t, s.Close()); provider.Close(); api.Close() })
	client, err := revenuecat.New(revenuecat.Config{
		BaseURL: provider.URL + "/v2", ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk" }, Now: s.clock,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)

	catalogs := books.NewCatalogs(s.db)
	_, err = catalogs.Store(t.Context(), config.DemoCatalog())
	require.NoError(t, err)
	s.store = purchases.NewStore(s.db)
	reader := client.Reader(nil)
	for _, consumer := range []consumers.Consumer{
		access.Consumer{Store: s.store, Catalogs: catalogs, Now: s.clock, Unknown: &access.Unknown{Log: slog.New(slog.DiscardHandler), Now: s.clock}},
		&resync.Consumer{
			Reader: reader, Products: revenuecat.NewProducts(reader), Balances: client, Mirror: books.New(s.db), Store: s.store,
			Recorder: &purchases.Recorder{Store: s.store, Committer: s.committer, Now: s.clock},
			Now:      s.clock, Log: slog.New(slog.DiscardHandler), Gather: resync.GatherDefault,
			Wait: func(context.Context, time.Duration) error { return nil }, // time is the test's
		},
	} {
		s.runners[consumer.Spec().Name] = &consumers.Runner{
			Consumer: consumer, Committer: s.committer, Log: slog.New(slog.DiscardHandler), Metrics: consumers.NewMetrics(nil),
		}
	}
	return s
}

func (s *shopping) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *shopping) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// deliver has every event that is owed consumed, and what follows from it, until
// nothing is owed any more.
func (s *shopping) deliver() {
	s.t.Helper()
	require.NoError(s.t, s.WaitWebhooks(s.t.Context()))
	for range 100 {
		var owed []struct {
			EventID  string          `db:"event_id"`
			Consumer string          `db:"consumer"`
			Payload  json.RawMessage `db:"payload"`
		}
		require.NoError(s.t, s.db.SelectContext(s.t.Context(), &owed, "SELECT event_id, consumer, payload FROM outbox ORDER BY event_id, consumer"))
		if len(owed) == 0 {
			return
		}
		s.random.Shuffle(len(owed), func(i, j int) { owed[i], owed[j] = owed[j], owed[i] })
		for _, row := range owed {
			runner := s.runners[row.Consumer]
			if runner == nil {
				_, err := s.committer.Commit(s.t.Context(), outbox.Effects{Guard: outbox.Finish{EventID: row.EventID, Consumer: row.Consumer}})
				require.NoError(s.t, err)
				continue
			}
			msg := message.NewMessage(row.EventID, message.Payload(row.Payload))
			msg.SetContext(s.t.Context())
			require.NoError(s.t, runner.Handle(msg), row.EventID)
		}
	}
	require.FailNow(s.t, "it never ends")
}

// resyncAll has every customer read from the provider again.
func (s *shopping) resyncAll(cause string) {
	s.t.Helper()
	for _, player := range shoppers {
		wish := events.NewCustomerResyncRequested(events.Bulk, events.ResyncSilence, cause, player, s.clock())
		_, err := s.committer.Commit(s.t.Context(), outbox.Effects{
			Guard: purchases.Wished{AppUserID: player, At: s.clock(), By: cause}, Events: []events.Event{wish},
		})
		require.NoError(s.t, err)
	}
	s.deliver()
}

// shoppers are all ids of an hour in the stores.
var shoppers = []string{"$RCAnonymousID:1", "ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida"}

// hour is an hour in the stores, in which everything happens that they tell of.
func (s *shopping) hour() {
	s.t.Helper()
	do := func(b simulator.Bought, err error) string {
		s.t.Helper()
		require.NoError(s.t, err)
		s.pass(3 * time.Minute)
		s.deliver()
		return b.Transaction
	}
	buy := func(customer, product string, more ...func(*simulator.Buy)) string {
		b := simulator.Buy{Customer: customer, Product: product}
		for _, change := range more {
			change(&b)
		}
		return do(s.Buy(b))
	}
	buy("$RCAnonymousID:1", "gems_100", func(b *simulator.Buy) { b.Quantity = 2 })
	premium := buy("$RCAnonymousID:1", "premium_monthly")
	require.NoError(s.t, s.Link("ann", "$RCAnonymousID:1"))
	buy("ann", "arena_week")
	do(s.Renew(premium, ""))
	do(s.Refund(buy("bob", "starter_pack")))
	buy("bob", "starter_pack")
	yearly := buy("bob", "premium_yearly")
	do(s.Cancel(yearly))
	week := buy("cat", "arena_week")
	buy("cat", "arena_week")
	do(s.Refund(week))
	do(s.ReverseRefund(week))
	do(s.Expire(buy("dan", "premium_monthly")))
	do(s.Transfer("bob", "eve"))
	buy("fay", "premium_lifetime", func(b *simulator.Buy) { b.Sandbox = true })
	buy("gus", "premium:monthly", func(b *simulator.Buy) { b.Store, b.Trial, b.Lasts = "play_store", true, 72*time.Hour })
	do(s.Renew(buy("ida", "premium_monthly", func(b *simulator.Buy) { b.Trial, b.Lasts = true, time.Minute }), ""))
	do(s.FailBilling(buy("hal", "premium_monthly", func(b *simulator.Buy) { b.Lasts = time.Hour }), 16*24*time.Hour))
}

// state is what everybody may see and what is known, without what only webhooks tell:
// prices, intents, when exactly a refund was.
func (s *shopping) state() map[string][]string {
	s.t.Helper()
	ctx, state := s.t.Context(), map[string][]string{}
	customers := map[string]string{}
	for _, player := range shoppers {
		customer, err := s.store.Customer(ctx, player)
		require.NoError(s.t, err)
		customers[player] = customer.ID
		accesses, err := s.store.Accesses(ctx, player, s.clock())
		require.NoError(s.t, err)
		items, err := s.store.Items(ctx, player)
		require.NoError(s.t, err)
		var held []string
		for _, a := range accesses {
			held = append(held, fmt.Sprint(a.Module, a.State, a.Cause, a.ExpiresAt, a.Purchase))
		}
		state[player] = append(held, fmt.Sprint(customer, items))
	}
	var keys []struct{ Store, Environment, ID string }
	require.NoError(s.t, s.db.SelectContext(ctx, &keys, "SELECT store, environment, transaction_id AS id FROM purchases"))
	for _, k := range keys {
		key := economy.PurchaseKey{Store: economy.Store(k.Store), Environment: economy.Environment(k.Environment), TransactionID: k.ID}
		p, err := s.store.Purchase(ctx, key)
		require.NoError(s.t, err)
		original := p.Original.Value
		if original == k.ID { // a one-time purchase has none, by the API
			original = ""
		}
		history, err := s.store.History(ctx, p.Owner.Value)
		require.NoError(s.t, err)
		state[key.String()] = []string{fmt.Sprint(history.OwnerOf(p.Purchase), customers[p.Buyer.Value], p.Product.Value, original, p.PurchasedAt.Value, p.Units(),
			p.Ownership.Value, p.ExpiresAt.Value, p.ExpiresAt.Known(), p.EndedAt.Value, p.GraceUntil.Value, p.Refunded(), p.Period.Value == economy.PeriodTrial, p.CatalogVersion)}
	}
	var lines []struct{ Player, Line string }
	require.NoError(s.t, s.db.SelectContext(ctx, &lines, `SELECT customer_id AS player, concat_ws(' ', store, transaction_id, kind, name, sum(quantity)) AS line
		FROM purchase_grants GROUP BY customer_id, store, environment, transaction_id, kind, name HAVING sum(quantity) <> 0`))
	for _, l := range lines { // written for an id that may be another's alias by now
		state["grants"] = append(state["grants"], customers[l.Player]+" "+l.Line)
	}
	slices.Sort(state["grants"])
	return state
}

// balances is our copy of the balances of everybody who spends.
func (s *shopping) balances() map[string]economy.Amount {
	s.t.Helper()
	out := map[string]economy.Amount{}
	var rows []struct {
		Player, Currency string
		Balance          economy.Amount
	}
	require.NoError(s.t, s.db.SelectContext(s.t.Context(), &rows, "SELECT app_user_id AS player, currency, balance FROM balances WHERE balance <> 0"))
	for _, row := range rows {
		out[row.Player+" "+row.Currency] = row.Balance
	}
	return out
}

// TestResyncEndsAsIfNoWebhookHadBeenLost: an hour in which every webhook is dropped,
// or half of them, ends after a resync as the hour in which none was. Repeating the
// resync, or the webhooks afterwards, changes nothing.
func TestResyncEndsAsIfNoWebhookHadBeenLost(t *testing.T) {
	t.Parallel()
	var want map[string][]string
	t.Run("none", func(t *testing.T) {
		s := newShopping(t, 1)
		s.hour()
		want = s.state()
		require.Len(t, want["grants"], 19)
		s.resyncAll("afterwards")
		require.Equal(t, want, s.state(), "a resync of what was told changes nothing")
	})
	for name, lost := range map[string]float64{"half": 0.5, "all": 1} {
		t.Run(name, func(t *testing.T) {
			s := newShopping(t, 2)
			s.SetWebhookFaults(simulator.WebhookFaults{Lose: lost})
			s.hour()
			require.NotEqual(t, want, s.state(), "nothing was lost")
			s.resyncAll("the first")
			require.Equal(t, want, s.state())
			balances := map[string]economy.Amount{}
			for _, player := range shoppers {
				if gems := s.Balance(player)["GEM"]; gems != 0 {
					balances[player+" GEM"] = gems
				}
			}
			require.Equal(t, balances, s.balances())
			s.pass(time.Minute)
			s.resyncAll("the second")
			require.Equal(t, want, s.state(), "after another resync")
			for _, sent := range s.Events() {
				status, err := s.Resend(t.Context(), sent.ID)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, status)
			}
			s.deliver()
			require.Equal(t, want, s.state(), "after the webhooks came at last")
		})
	}
}
