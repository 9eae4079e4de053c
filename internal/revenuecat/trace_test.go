package revenuecat

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// TestWithoutATraceACallCostsWhatItDid: nothing is allocated for one.
func TestWithoutATraceACallCostsWhatItDid(t *testing.T) {
	ctx := t.Context()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/", nil)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() { tracing.EndCall(startTrace(ctx, OpAdjust, request), http.StatusOK) }))
}

func TestEveryCallHasATemplate(t *testing.T) {
	t.Parallel()
	for _, op := range []Op{OpAdjust, OpCreateCustomer, OpBalances} {
		require.NotEmpty(t, templates[op], op)
	}
}
