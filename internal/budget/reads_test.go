package budget

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// pages is a provider whose lists have 24 pages, and that admits 20 calls a
// span. It notes when each came.
func pages(t *testing.T, b *Budget, came *moments) *revenuecat.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came.add(time.Now())
		page, next := 0, "null"
		if _, err := fmt.Sscanf(r.URL.Query().Get("starting_after"), "%d", &page); err == nil {
			page++
		}
		if page < 23 {
			next = fmt.Sprintf(`"?starting_after=%d"`, page)
		}
		w.Header().Set("RevenueCat-Rate-Limit-Current-Usage", "1")
		w.Header().Set("RevenueCat-Rate-Limit-Current-Limit", "20")
		_, _ = fmt.Fprintf(w, `{"items":[{"id":"%d"}],"next_page":%s}`, page, next)
	}))
	t.Cleanup(server.Close)
	client, err := revenuecat.New(revenuecat.Config{
		BaseURL: server.URL, ProjectID: "proj", SecretKey: func() string { return "sk" }, Observe: b.Observe,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

const span = time.Second

func limited(c *Config) { c.Window, c.Lease = span, 20*time.Millisecond }

// A list of more pages than the provider admits in a span is read to its end when
// there is patience, each page on a permit of its own. Without it, the reader hears
// when to come back: within a span, when all that counts now is over.
func TestEveryPageOfAReadingHasItsOwnPermit(t *testing.T) {
	t.Parallel()
	t.Run("patient", func(t *testing.T) {
		t.Parallel()
		b, came := open(t, testenv.PostgresURL(t), "a", limited), &moments{}
		client, permits := pages(t, b, came), 0
		admit := b.Admit(Resync, time.Minute)
		reader := client.Reader(func(ctx context.Context, d revenuecat.Domain, player string) (context.Context, func(int), error) {
			permits++
			return admit(ctx, d, player)
		})
		for range 2 { // the first answer of all tells the limit
			ids, err := reader.Aliases(t.Context(), "p")
			require.NoError(t, err)
			require.Len(t, ids, 24)
		}
		require.Equal(t, []int{48, 48}, []int{len(came.list), permits})
	})
	t.Run("impatient", func(t *testing.T) {
		t.Parallel()
		b, came := open(t, testenv.PostgresURL(t), "a"), &moments{}
		reader := pages(t, b, came).Reader(b.Admit(Resync, 0))
		var failure *revenuecat.Error
		for range 2 { // the second at the latest: the limit is known by then
			if _, err := reader.Aliases(t.Context(), "p"); err != nil {
				require.ErrorAs(t, err, &failure)
				break
			}
		}
		var notYet *NotYet
		require.ErrorAs(t, failure, &notYet)
		require.Equal(t, revenuecat.CustomerInformation, notYet.Domain)
		require.Positive(t, failure.RetryAfter)
		require.LessOrEqual(t, failure.RetryAfter, windowDefault+2*horizon, "then all of it has left the log")
	})
}

func TestTheConfigurationHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	b, came := open(t, testenv.PostgresURL(t), "a", limited), &moments{}
	client := pages(t, b, came)
	products := revenuecat.NewProducts(client.Reader(b.Admit(Resync, time.Minute)))
	_, err := products.StoreIdentifier(t.Context(), "0")
	require.Error(t, err, "a product without a store's identifier")
	require.Eventually(t, func() bool {
		list, _, err := b.Status(t.Context())
		return err == nil && len(list) == 1 && list[0].Domain == revenuecat.ProjectConfiguration && list[0].Limit == 20
	}, 5*time.Second, time.Millisecond)
}

// A pause that is longer than the patience is not waited for, and one that is not
// ends with the caller.
func TestAReadingDoesNotWaitForALongPause(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.status.Store(http.StatusTooManyRequests) // for 30 s
	_, err := r.Balances(t.Context(), "p")
	require.Error(t, err)
	for _, patience := range []time.Duration{0, 10 * time.Second} {
		_, _, err = r.budget.Admit(Resync, patience)(t.Context(), revenuecat.CustomerInformation, "p")
		var notYet *NotYet
		require.ErrorAs(t, err, &notYet)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, _, err = r.budget.Admit(Resync, time.Hour)(ctx, revenuecat.CustomerInformation, "p")
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 1, r.calls.Load())
}

// What nobody waits for takes the idle share alone, whoever makes the call.
func TestIdleCallsHaveTheLeastWeight(t *testing.T) {
	t.Parallel()
	for _, weight := range urgent {
		require.Equal(t, weight, weight.within(t.Context()))
		require.Equal(t, Backfill, weight.within(revenuecat.Idle(t.Context())))
	}
}
