package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv/browser"
)

// recorder is a test whose failures are looked at instead of counted.
type recorder struct {
	testing.TB
	failures []string
	ends     []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.ends = append(r.ends, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// TestAPageThatComplainsFailsItsTest: what a page does wrong is noticed, although
// nobody looks for it, unless it is allowed.
func TestAPageThatComplainsFailsItsTest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<link rel="icon" href="data:,"><p>page</p>%s`, map[string]string{
			"/error":  `<script>console.error("an error")</script>`,
			"/throws": `<script>throw new Error("thrown")</script>`,
			"/others": `<img src="http://example.com/pixel.png">`,
			"/policy": `<meta http-equiv="Content-Security-Policy" content="script-src 'none'"><script>1</script>`,
		}[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	for path, complaint := range map[string]string{
		"/": "", "/error": "an error", "/throws": "thrown", "/others": "example.com/pixel.png", "/policy": "Content Security Policy",
	} {
		looked := &recorder{TB: t}
		page := browser.Open(looked, server.URL, path, browser.Phone)
		page.Await("it is there", `document.readyState === "complete"`)
		require.Equal(t, "page", page.Text("p"))
		for _, end := range looked.ends {
			end()
		}
		said := strings.Join(looked.failures, "\n")
		if complaint == "" {
			require.Empty(t, said, path)
		} else {
			require.Contains(t, said, complaint, path)
		}
	}
}
