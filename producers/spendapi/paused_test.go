package spendapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// What operators pause is refused, alone, in a batch and as a grant, and nothing else is; a key
// that was used before is answered all the same.
func TestWhatIsPausedIsNotAccepted(t *testing.T) {
	t.Parallel()
	paused := ""
	b := setup(t, func(c *Config) {
		c.Paused = func(_ string, cost economy.Amounts) string {
			if _, gems := cost["GEM"]; gems {
				return paused
			}
			return ""
		}
	})
	b.accept(t, post(buy("extra_life", 1, "before")))
	require.Equal(t, http.StatusAccepted, b.do(t, grant(give(player, 5, "quest", "given"), "Prefer", "respond-async")).Code)
	paused = "currency GEM"
	w := b.do(t, post(buy("extra_life", 1, "k")))
	requireProblem(t, w, ItemPaused)
	requireProblem(t, b.do(t, grant(give(player, 5, "quest", "g"))), CurrencyPaused)
	w = b.do(t, grant(give(player, 5, "quest", "given")))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	w = b.do(t, post(buy("extra_life", 1, "k")))
	require.Contains(t, w.Body.String(), "The currency GEM is paused")
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k"))))
	require.True(t, list[0].is(ItemPaused))
	w = b.do(t, post(buy("extra_life", 1, "before")))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	paused = ""
	b.accept(t, post(buy("extra_life", 1, "k")))
	require.Equal(t, http.StatusAccepted, b.do(t, grant(give(player, 5, "quest", "g"), "Prefer", "respond-async")).Code)
}
