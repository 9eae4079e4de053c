package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

// everyDescribedCall asks for every call of internal/openapi/openapi.yaml without
// signing in: what needs no session answers, everything else says what it lacks,
// and nothing is missing. See TestEveryStatusOfPostSpend.
func everyDescribedCall(s *site) func(*testing.T) {
	return func(t *testing.T) {
		require.NotEmpty(t, contract.Calls())
		for _, c := range contract.Calls() {
			path := strings.NewReplacer("{id}", "0198c9f0-0000-7000-8000-000000000000", "{problem}", "internal").Replace(c.Path)
			require.NotContains(t, path, "{", "a value for it is missing here")
			request, err := http.NewRequestWithContext(t.Context(), c.Method, "http://"+s.apiAddr+path, strings.NewReader("{}"))
			require.NoError(t, err)
			request.Header.Set("Content-Type", "application/json")
			answer, err := s.client.Transport.RoundTrip(request) // which follows no redirect
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			contract.Check(t, contract.Exchange{Request: request, Sent: "{}", Status: answer.StatusCode, Header: answer.Header, Body: body})
			if c.Open {
				require.Less(t, answer.StatusCode, http.StatusBadRequest, "%s %s: %s", c.Method, path, body)
			} else {
				require.Equal(t, http.StatusUnauthorized, answer.StatusCode, "%s %s: %s", c.Method, path, body)
			}
		}
	}
}
