package spendapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// fakeProvider counts readings; its answer may be changed between requests.
type fakeProvider struct {
	calls  atomic.Int64
	answer atomic.Pointer[func(context.Context) (revenuecat.Reading, error)]
}

func (p *fakeProvider) Balances(ctx context.Context, _ string) (revenuecat.Reading, error) {
	p.calls.Add(1)
	return (*p.answer.Load())(ctx)
}

func (p *fakeProvider) say(f func(context.Context) (revenuecat.Reading, error)) { p.answer.Store(&f) }

func (p *fakeProvider) has(gems economy.Amount, at time.Time) {
	p.say(func(context.Context) (revenuecat.Reading, error) {
		return revenuecat.Reading{
			Known: true, StartedAt: at,
			Balances: economy.Amounts{"GEM": gems, "COIN": 0}, Names: map[economy.Currency]string{"GEM": "Gems"},
		}, nil
	})
}

func setupWallet(t *testing.T) (*testBundle, *fakeProvider) {
	t.Helper()
	p := &fakeProvider{}
	return setup(t, func(c *Config) { c.Provider = p }), p
}

func TestTheWalletIsRefreshedAtMostOnceInThreeSeconds(t *testing.T) {
	t.Parallel()
	b, p := setupWallet(t)
	p.has(120, b.clock.now())
	w := b.do(t, get("/wallet"))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	golden(t, "get_wallet", w.Body.Bytes())
	b.clock.add(2999 * time.Millisecond)
	p.has(70, b.clock.now())
	require.Contains(t, b.do(t, get("/wallet")).Body.String(), `"balance":120`)
	require.EqualValues(t, 1, p.calls.Load())
	b.clock.add(time.Millisecond)
	require.Contains(t, b.do(t, get("/wallet")).Body.String(), `"balance":70`)
	require.Contains(t, b.do(t, get("/wallet").as("another")).Body.String(), `"balance":70`)
	require.EqualValues(t, 3, p.calls.Load())
}

func TestManyWhoAskForOneWalletAreOneReading(t *testing.T) {
	t.Parallel()
	b, p := setupWallet(t)
	answer := make(chan struct{})
	p.say(func(ctx context.Context) (revenuecat.Reading, error) {
		<-answer
		return revenuecat.Reading{Known: true, StartedAt: b.clock.now(), Balances: economy.Amounts{"GEM": 5}}, ctx.Err()
	})
	ctx, hangUp := context.WithCancel(t.Context())
	first := b.begin(t, get("/wallet").within(ctx))
	until(t, func() bool { return p.calls.Load() == 1 })
	hangUp() // whoever began it may go
	<-first
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			w := b.do(t, get("/wallet"))
			if w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	close(answer)
	all.Wait()
	require.EqualValues(t, 1, p.calls.Load())
}

func TestAWalletIsShownWithItsAgeWhenTheProviderCannotBeAsked(t *testing.T) {
	t.Parallel()
	b, p := setupWallet(t)
	p.say(func(context.Context) (revenuecat.Reading, error) { return revenuecat.Reading{}, errors.New("down") })
	w := b.do(t, get("/wallet"))
	requireProblem(t, w, BalanceUnavailable)
	require.Equal(t, "3", w.Header().Get("Retry-After"))
	require.EqualValues(t, 1, p.calls.Load())

	b.clock.add(walletEvery)
	p.has(120, b.clock.now())
	good := b.do(t, get("/wallet"))
	require.Equal(t, http.StatusOK, good.Code)
	b.clock.add(time.Hour)
	p.say(func(ctx context.Context) (revenuecat.Reading, error) {
		<-ctx.Done() // hangs until walletPatience
		return revenuecat.Reading{}, ctx.Err()
	})
	w = b.do(t, get("/wallet"))
	require.Equal(t, good.Body.String(), w.Body.String(), "as_of tells the age")
}

func TestAPlayerTheProviderDoesNotKnowHasNothing(t *testing.T) {
	t.Parallel()
	b, p := setupWallet(t)
	p.say(func(context.Context) (revenuecat.Reading, error) {
		return revenuecat.Reading{StartedAt: b.clock.now(), Balances: economy.Amounts{}}, nil
	})
	for range 2 {
		w := b.do(t, get("/wallet"))
		require.Equal(t, http.StatusOK, w.Code)
		golden(t, "get_wallet_empty", w.Body.Bytes())
	}
}

// A reading made while an adjustment is open may already be old: it is not kept.
func TestAReadingDuringAnAdjustmentIsShownOnlyWhereThereIsNothingElse(t *testing.T) {
	t.Parallel()
	b, p := setupWallet(t)
	_, err := b.db.Exec(`INSERT INTO adjustments (id, leased_until, opened_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1, now(), now(), $1, $2, 'charge', 'open', 'k', '', '', '{}')`, b.newID(), player)
	require.NoError(t, err)
	_, err = b.db.Exec(`INSERT INTO balances (balance, as_of, app_user_id, currency) VALUES (70, $1, $2, 'GEM')`, start, player)
	require.NoError(t, err)
	p.has(120, b.clock.now())
	w := b.do(t, get("/wallet"))
	require.Contains(t, w.Body.String(), `"GEM":{"balance":70`)
	require.Contains(t, w.Body.String(), `"COIN":{"balance":0`)
	kept, err := b.books.Balances(t.Context(), player)
	require.NoError(t, err)
	require.Len(t, kept, 1)
}
