package mirror

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// desk is a Freshener on a clock of its own, before a provider that counts.
type desk struct {
	*Freshener
	clock time.Time
	calls []string
	err   error
	books *books.Books
}

func (d *desk) Balances(_ context.Context, player string) (revenuecat.Reading, error) {
	d.calls = append(d.calls, player)
	return revenuecat.Reading{Known: true, StartedAt: d.clock, Balances: economy.Amounts{"GEM": economy.Amount(len(d.calls))}}, d.err
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{clock: noon, books: books.New(testenv.Postgres(t))}
	d.Freshener = NewFreshener(d, d.books, func() time.Time { return d.clock }, slog.New(slog.DiscardHandler), NewMetrics(nil))
	return d
}

// pass lets time pass, with everything done that becomes due.
func (d *desk) pass(t *testing.T, length time.Duration) {
	t.Helper()
	end := d.clock.Add(length)
	for {
		wait := d.step(t.Context())
		if d.clock.Add(wait).After(end) {
			d.clock = end
			return
		}
		d.clock = d.clock.Add(wait)
	}
}

func (d *desk) outcome(t *testing.T, name string) int {
	t.Helper()
	return valueOf(t, d.metrics.readings.WithLabelValues(name))
}

func TestManyMovementsOfAPlayerAreOneReading(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 100 {
		d.Want("ann", d.clock)
	}
	d.pass(t, gather-1)
	require.Empty(t, d.calls, "further movements may come")
	d.pass(t, 1)
	require.Equal(t, []string{"ann"}, d.calls)
	kept, err := d.books.Balances(t.Context(), "ann")
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.True(t, kept[0].AsOf.Equal(noon.Add(gather)))
	for range 20 { // a second apart, for twenty seconds
		d.Want("ann", d.clock)
		d.pass(t, time.Second)
	}
	d.pass(t, readEvery)
	require.Len(t, d.calls, 5, "one in five seconds")
	d.pass(t, time.Hour)
	require.Len(t, d.calls, 5)
}

func TestNobodyIsReadWhoWasReadSince(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Want("ann", d.clock)
	require.NoError(t, d.books.KeepReading(t.Context(), "ann", economy.Amounts{"GEM": 7}, d.clock.Add(time.Millisecond)))
	require.NoError(t, d.books.KeepReading(t.Context(), "bob", economy.Amounts{"GEM": 7}, d.clock))
	d.Want("bob", d.clock) // read before, or at the moment
	d.pass(t, time.Minute)
	require.Equal(t, []string{"bob"}, d.calls)
	require.Equal(t, 1, d.outcome(t, "newer"))
}

func TestAReadingThatFailsIsTriedAgainAndNotForEver(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.err = &revenuecat.Error{RetryAfter: time.Minute, Err: errors.New("the provider's calls of this minute are spent")}
	d.Want("ann", d.clock)
	d.pass(t, gather+59*time.Second)
	require.Len(t, d.calls, 1)
	d.pass(t, time.Second)
	require.Len(t, d.calls, 2)
	d.err = nil
	d.pass(t, time.Minute)
	require.Len(t, d.calls, 3)
	d.err = errors.New("down")
	d.Want("ann", d.clock)
	d.pass(t, 2*giveUpAfter)
	require.Equal(t, 1, d.outcome(t, "given_up"))
	tried := len(d.calls)
	d.pass(t, time.Hour)
	require.Len(t, d.calls, tried)
}

func TestABurstOfPlayersIsBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range waitingMax + 50 {
		d.Want(strconv.Itoa(i), d.clock)
	}
	require.Len(t, d.waiting, waitingMax)
	require.Equal(t, 50, d.outcome(t, "dropped"))
}

func TestRunEndsWithItsContextAndWakesForWhatIsWanted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Want("ann", d.clock)
	require.Len(t, d.wake, 1, "whoever waits is told")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()
	d.wake <- struct{}{} // the first is taken, so it runs
	cancel()
	<-ended
}
