package gemstore_test

import (
	"os"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/stretchr/testify/require"
)

// transpiled is docs/client/sluice.ts as a browser runs it: types taken away, nothing else.
func transpiled(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile("../../docs/client/sluice.ts")
	require.NoError(t, err)
	out := api.Transform(string(source), api.TransformOptions{
		Loader: api.LoaderTS, Format: api.FormatESModule, Target: api.ES2022, Charset: api.CharsetUTF8,
		Banner: "// Made of docs/client/sluice.ts by `make golden`; change that.\n",
	})
	require.Empty(t, out.Errors)
	require.Empty(t, out.Warnings)
	return out.Code
}

// TestTheStoreRunsTheSnippet: the page's client is the one that the documentation shows.
func TestTheStoreRunsTheSnippet(t *testing.T) {
	t.Parallel()
	code := transpiled(t)
	if os.Getenv("SLUICE_UPDATE_GOLDEN") == "1" {
		require.NoError(t, os.WriteFile("page/client.js", code, 0o600))
	}
	served, err := os.ReadFile("page/client.js")
	require.NoError(t, err)
	require.Equal(t, string(code), string(served), "docs/client/sluice.ts has changed: make golden")
}
