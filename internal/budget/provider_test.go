package budget

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// rig is a provider over real HTTP: the answer is what the test says.
type rig struct {
	*Provider
	budget *Budget
	status atomic.Int64
	calls  atomic.Int64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{budget: open(t, testenv.PostgresURL(t), "a")}
	r.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("RevenueCat-Rate-Limit-Current-Usage", "7")
		w.Header().Set("RevenueCat-Rate-Limit-Current-Limit", "480")
		r.calls.Add(1)
		if r.status.Load() == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(int(r.status.Load()))
		_, _ = w.Write([]byte(`{"object":"list","items":[{"currency_code":"GEM","balance":80}],"next_page":null}`))
	}))
	t.Cleanup(server.Close)
	client, err := revenuecat.New(revenuecat.Config{
		BaseURL: server.URL, ProjectID: "proj", SecretKey: func() string { return "sk" }, Observe: r.budget.Observe,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	r.Provider = NewProvider(r.budget, client, Live)
	return r
}

func debit(key string) revenuecat.Request {
	return revenuecat.Request{AppUserID: "p", IdempotencyKey: key, Body: revenuecat.Body(economy.Amounts{"GEM": -10}, "")}
}

func TestAProviderLearnsFromItsCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Equal(t, economy.Applied, r.Adjust(t.Context(), debit("1:charge")).Kind)
	_, err := r.Balances(t.Context(), "p")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		list, _, err := r.budget.Status(t.Context())
		return err == nil && len(list) == 2 && list[0].Limit == 480 && list[1].Limit == 480 && list[0].Used == 7
	}, 5*time.Second, time.Millisecond)
}

func TestWhatMayNotStartIsTemporary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.status.Store(http.StatusTooManyRequests)
	require.Equal(t, economy.Temporary, r.Adjust(t.Context(), debit("1:charge")).Kind)
	for range 3 {
		outcome := r.Adjust(t.Context(), debit("1:charge"))
		require.Equal(t, economy.Temporary, outcome.Kind)
		require.InDelta(t, 30*time.Second, outcome.RetryAfter, float64(5*time.Second))
		require.Contains(t, outcome.Detail, whyClosed)
	}
	assert.EqualValues(t, 1, r.calls.Load(), "nothing was sent")
	_, err := r.Balances(t.Context(), "p")
	require.Error(t, err)
	assert.EqualValues(t, 2, r.calls.Load(), "another domain was not closed before")
	_, err = r.Balances(t.Context(), "p")
	var failure *revenuecat.Error
	require.ErrorAs(t, err, &failure)
	assert.InDelta(t, 30*time.Second, failure.RetryAfter, float64(5*time.Second))
	assert.EqualValues(t, 2, r.calls.Load())
}

func TestAProviderThatIsDownIsProbedAndComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.status.Store(http.StatusBadGateway)
	require.Equal(t, economy.Unknown, r.Adjust(t.Context(), debit("1:charge")).Kind)
	fail(r.budget)
	before := r.calls.Load()
	outcome := r.Adjust(t.Context(), debit("1:charge"))
	require.Equal(t, economy.Temporary, outcome.Kind, "never unknown: nothing was sent")
	require.Positive(t, outcome.RetryAfter)
	require.Equal(t, before, r.calls.Load())

	dueNow(t, []*Budget{r.budget})
	outcome = r.Adjust(t.Context(), debit("1:charge")) // the probe
	require.Equal(t, economy.Unknown, outcome.Kind)
	assert.InDelta(t, 2*time.Second, outcome.RetryAfter, float64(time.Second), "when the next probe is due")
	require.Equal(t, before+1, r.calls.Load())

	r.status.Store(http.StatusOK)
	dueNow(t, []*Budget{r.budget})
	require.Equal(t, economy.Applied, r.Adjust(t.Context(), debit("1:charge")).Kind)
	assert.False(t, r.budget.circuitOpen())
}
