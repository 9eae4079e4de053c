package spendapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

func TestPreferDecidesHowLongIsWaited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do(t, post(buy("extra_life", 1, "k1"), "Prefer", "respond-async"))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "respond-async", w.Header().Get("Preference-Applied"))
	require.Equal(t, "Prefer", w.Header().Get("Vary"))
	require.Equal(t, "/spends/"+(<-b.committed).ID, w.Header().Get("Location"))
	require.NotContains(t, w.Body.String(), `"ok"`)

	w = b.do(t, post(buy("extra_life", 1, "k2"), "Prefer", "wait=0"))
	require.Equal(t, "wait=0", w.Header().Get("Preference-Applied"))
	<-b.committed

	// The deadline's own look at the database tells how the spend stands, without a notice.
	answer := b.begin(t, post(buy("extra_life", 1, "k3"), "Prefer", "wait=1"))
	b.move(t, (<-b.committed).ID, "", economy.Charged)
	w = <-answer
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Contains(t, w.Body.String(), `"state":"charged"`)
	require.Equal(t, "wait=1", w.Header().Get("Preference-Applied"))
}

func TestALostNoticeIsMadeUpForByTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := b.begin(t, post(buy("extra_life", 1, "k"), "Prefer", "wait=2"))
	b.move(t, (<-b.committed).ID, "", economy.Charged, economy.Fulfilled)
	require.Equal(t, http.StatusOK, (<-answer).Code)
}

func TestARepeatedKeyWaitsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spend := b.accept(t, post(buy("extra_life", 1, "k")))
	w := b.do(t, post(buy("extra_life", 1, "k"))) // at once, not after ten seconds
	require.Equal(t, http.StatusAccepted, w.Code)

	answer := b.begin(t, post(buy("extra_life", 1, "k"), "Prefer", "wait=30"))
	until(t, func() bool { return b.waiters.Waiting() == 1 })
	b.Notify(events.Notice{Spend: b.move(t, spend.ID, "", economy.Charged, economy.Fulfilled)})
	w = <-answer
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	require.Equal(t, "wait=30", w.Header().Get("Preference-Applied"))
}

// until waits for something that no signal tells.
func until(t testing.TB, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 10*time.Second, time.Millisecond)
}

func TestAClientThatHangsUpFreesItsPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, hangUp := context.WithCancel(t.Context())
	answer := b.begin(t, post(buy("extra_life", 1, "k")).within(ctx))
	<-b.committed
	require.Equal(t, 1, b.waiters.Waiting())
	hangUp()
	w := <-answer
	require.Zero(t, w.Body.Len())
	require.Zero(t, b.waiters.Waiting())
	line := b.log.lines(t)[0]
	require.Equal(t, "client_gone", line["outcome"])
	require.EqualValues(t, statusGone, line["status"])
}

func TestDrainingAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := b.begin(t, post(buy("extra_life", 1, "k")))
	<-b.committed
	b.Drain()
	require.Equal(t, http.StatusAccepted, (<-answer).Code)
	w := b.do(t, post(buy("extra_life", 1, "k2"), "Prefer", "wait=30"))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Empty(t, w.Header().Get("Preference-Applied"), "it was not waited")
}

func TestAFullTableAnswersAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.WaitersMax = 1 })
	answer := b.begin(t, post(buy("extra_life", 1, "k1")))
	<-b.committed
	require.Equal(t, http.StatusAccepted, b.do(t, post(buy("extra_life", 1, "k2"))).Code)
	b.Drain()
	<-answer
}

// spendReader is the database as the waiters see it.
type spendReader struct {
	mu      sync.Mutex
	spends  map[string]economy.State
	queries [][]string
	err     error
	hang    bool
}

func (r *spendReader) Spends(ctx context.Context, ids []string) ([]economy.Spend, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, slices.Clone(ids))
	if r.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var out []economy.Spend
	for _, id := range ids {
		if state, ok := r.spends[id]; ok {
			out = append(out, economy.Spend{ID: id, State: state})
		}
	}
	return out, r.err
}

func newTestWaiters(t *testing.T, reader SpendReader) *Waiters {
	t.Helper()
	w := NewWaiters(reader, 1000, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	return w
}

func TestWaitersReadAtHalfTimeAndAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := &spendReader{spends: map[string]economy.State{"a": economy.Charged}}
		w := newTestWaiters(t, reader)
		began := time.Now()
		spend, known := w.Register("a", 10*time.Second).Wait(t.Context())
		require.True(t, known)
		require.Equal(t, economy.Charged, spend.State)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, [][]string{{"a"}, {"a"}}, reader.queries)

		reader.spends["b"] = economy.Declined
		began = time.Now()
		spend, known = w.Register("b", 10*time.Second).Wait(t.Context())
		require.True(t, known)
		require.Equal(t, economy.Declined, spend.State)
		require.Equal(t, 5*time.Second, time.Since(began), "final at half-time is final")
	})
}

func TestWaitersThatAreDueShareOneQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := &spendReader{}
		w := newTestWaiters(t, reader)
		var all sync.WaitGroup
		for i := range 500 {
			x := w.Register(fmt.Sprint(i), 10*time.Second+time.Duration(i)*10*time.Microsecond) // within one step of the grid
			all.Go(func() {
				_, known := x.Wait(t.Context())
				require.False(t, known, "not in the database")
			})
		}
		all.Wait()
		require.LessOrEqual(t, len(reader.queries), 4, "two looks, each on at most two steps of the grid")
		require.Zero(t, w.Waiting())
	})
}

func TestNoticesWakeAllThatWaitForTheSpend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTestWaiters(t, &spendReader{})
		began := time.Now()
		x, y, z, other := w.Register("a", time.Minute), w.Register("a", time.Minute), w.Register("a", time.Minute), w.Register("b", time.Minute)
		y.Release()
		w.Notify(events.Notice{Spend: economy.Spend{ID: "a", State: economy.Charged}}) // not an outcome
		require.Equal(t, 3, w.Waiting())
		w.Notify(events.Notice{Spend: economy.Spend{ID: "a", State: economy.Fulfilled}})
		w.Notify(events.Notice{Spend: economy.Spend{ID: "nobody's", State: economy.Fulfilled}})
		for _, waiter := range []*Waiter{x, z} {
			spend, known := waiter.Wait(t.Context())
			require.True(t, known)
			require.Equal(t, economy.Fulfilled, spend.State)
		}
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, w.Waiting())
		w.Drain()
		_, known := other.Wait(t.Context())
		require.False(t, known)
		require.Nil(t, w.Register("c", time.Minute))
		other.Release()
		other.Release()
		require.Zero(t, w.Waiting())
		require.Empty(t, w.bySpend)
	})
}

func TestADeadDatabaseHoldsNobodyBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	for name, reader := range map[string]*spendReader{"refuses": {err: errors.New("down")}, "hangs": {hang: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newTestWaiters(t, reader)
				var all sync.WaitGroup
				for i := range 900 {
					x := w.Register(fmt.Sprint(i), 10*time.Second)
					all.Go(func() { _, _ = x.Wait(t.Context()) })
				}
				began := time.Now()
				all.Wait()
				require.LessOrEqual(t, time.Since(began), 10*time.Second+readPatience)
				require.Zero(t, w.Waiting())
			})
		})
	}
}

func TestTheTableOfWaitersIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWaiters(&spendReader{}, 2, slog.New(slog.DiscardHandler))
		defer w.Close()
		a, b := w.Register("a", time.Minute), w.Register("b", time.Minute)
		require.NotNil(t, a)
		require.NotNil(t, b)
		full := w.Register("c", time.Minute)
		require.Nil(t, full)
		_, known := full.Wait(t.Context())
		require.False(t, known)
		full.Release()
		a.Release()
		require.NotNil(t, w.Register("c", time.Minute))
		require.Nil(t, w.Register("d", 0))
	})
}

// The whole road may be faster than the commit's answer.
func TestANoticeBeforeTheCommitsAnswerIsNotMissed(t *testing.T) {
	t.Parallel()
	var b *testBundle
	b = setupOn(t, nil, commitFunc(func(_ context.Context, e outbox.Effects) (outbox.Result, error) {
		spend := e.Guard.(books.Accept).Spend
		spend.State = economy.Fulfilled
		b.Notify(events.Notice{Spend: spend})
		return outbox.Applied, nil
	}), func(c *Config) { c.Books = noBooks{} })
	require.Equal(t, http.StatusOK, b.do(t, post(buy("extra_life", 1, "k"), "Prefer", "wait=30")).Code)
}
