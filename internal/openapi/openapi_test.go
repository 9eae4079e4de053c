package openapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/internal/openapi"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

func TestMain(m *testing.M) {
	m.Run() // the testing package exits with its result once TestMain returns
	contract.RequireSeen("This description")
}

// get asks for a path and holds the answer against the description.
func get(t testing.TB, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	openapi.Routes(mux)
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	contract.Check(t, contract.Exchange{Request: r, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
	return w
}

// TestTheDescriptionIsOpenAPI31: another's reader loads it, finds no unknown field
// and no example that breaks its schema.
func TestTheDescriptionIsOpenAPI31(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.YAML())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context(), openapi3.EnableSchemaFormatValidation(), openapi3.EnableExamplesValidation()))
	require.True(t, doc.IsOpenAPI31OrLater())
}

func TestWhoHasAFileIsNotSentItAgain(t *testing.T) {
	t.Parallel()
	for path, contentType := range map[string]string{
		"/openapi.yaml": "application/yaml", "/openapi.json": "application/json", "/docs": "text/html; charset=utf-8",
	} {
		w := get(t, http.MethodGet, path)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, contentType, w.Header().Get("Content-Type"))
		require.Contains(t, w.Header().Get("Cache-Control"), "max-age=")
		require.NotEmpty(t, w.Body.Bytes())
		again := get(t, http.MethodGet, path, "If-None-Match", w.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Empty(t, again.Body.Bytes())
		other := get(t, http.MethodGet, path, "If-None-Match", `"another"`)
		require.Equal(t, w.Body.String(), other.Body.String())
		head := get(t, http.MethodHead, path)
		require.Equal(t, w.Header(), head.Header())
		require.Empty(t, head.Body.Bytes())
	}
}

func TestBothFormsSayTheSame(t *testing.T) {
	t.Parallel()
	require.Equal(t, string(openapi.YAML()), get(t, http.MethodGet, "/openapi.yaml").Body.String())
	var tree any
	require.NoError(t, yaml.Unmarshal(openapi.YAML(), &tree))
	want, err := json.Marshal(tree)
	require.NoError(t, err)
	require.JSONEq(t, string(want), get(t, http.MethodGet, "/openapi.json").Body.String())
}
