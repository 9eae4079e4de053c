package spendapi

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWithoutATracerARequestCostsWhatItDid: nothing is allocated for a trace, also
// when the client names one.
func TestWithoutATracerARequestCostsWhatItDid(t *testing.T) {
	a, x := &API{}, &exchange{}
	r := httptest.NewRequest(http.MethodPost, "/spend", nil)
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if a.traced(x, r) != r {
			panic("it is traced")
		}
		x.endTrace(r, http.StatusOK)
	}))
}
