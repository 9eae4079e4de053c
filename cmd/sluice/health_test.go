package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHealthTellsWellFromUnwell: a health check passes on a 2xx only, and says why
// where it does not.
func TestHealthTellsWellFromUnwell(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ready"}` + "\n")) })
	mux.HandleFunc("GET /draining", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "draining", http.StatusServiceUnavailable) })
	server := httptest.NewServer(mux)
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := strings.Cut(addr, ":")
	nobody := freeAddr(t)
	for _, test := range []struct {
		env, url string
		code     int
		says     string
	}{
		{"", server.URL + "/readyz", 0, `{"status":"ready"}`},
		{"SLUICE_HTTP_ADDR=" + addr, "", 0, `{"status":"ready"}`},
		{"SLUICE_HTTP_ADDR=:" + port, "", 0, `{"status":"ready"}`},
		{"SLUICE_HTTP_ADDR=0.0.0.0:" + port, "", 0, `{"status":"ready"}`},
		{"SLUICE_HTTP_ADDR=" + nobody, "", exitFailed, "connection refused"},
		{"", server.URL + "/draining", exitFailed, "503 Service Unavailable: draining"},
		{"", server.URL + "/nothing", exitFailed, "404"},
		{"SLUICE_HTTP_ADDR=8080", "", exitBadUsage, "SLUICE_HTTP_ADDR"},
		{"SLUICE_HTTP_ADR=:8080", "", exitBadUsage, "SLUICE_HTTP_ADR is not a variable"},
	} {
		args := []string{"health"}
		if test.url != "" {
			args = append(args, test.url)
		}
		code, out, log := runs(t, []string{test.env}, args...)
		require.Equal(t, test.code, code, "%+v: %s%s", test, out, log)
		assert.Contains(t, out+log, test.says, "%+v", test)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	t.Parallel()
	code, out, log := runs(t, nil, "version")
	require.Zero(t, code, log)
	require.Regexp(t, `^\S+\n$`, out)
}
