package rcwebhook

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/purchases"
)

func TestTheLastWebhookIsKnownOverARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store := purchases.NewStore(b.db)
	last, err := store.LastWebhook(t.Context())
	require.NoError(t, err)
	require.True(t, last.IsZero())
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("e", "TEST", ""))).Code)
	last, err = store.LastWebhook(t.Context())
	require.NoError(t, err)
	require.True(t, last.Equal(start), last)
}
