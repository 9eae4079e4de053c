package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAServerOfTheGameThatIsDownIsNamed on the overview, which leads to what waits for
// it, what it said and when it is asked again.
func TestAServerOfTheGameThatIsDownIsNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.enter(viewerKey)
	require.NotContains(t, p.get("/console/").body, "guild")
	spend := h.spend("ann", "banner", "charged", time.Now())
	h.waitsForGuild(spend)
	h.spend("ann", "sword", "charged", time.Now()) // for our own inventory
	require.Eventually(t, func() bool {
		return strings.Contains(p.get("/console/").body, "The game&#39;s server &#34;guild&#34; has not answered as it should for 2 min")
	}, time.Minute, 100*time.Millisecond, "the monitor looks once a second")
	overview := p.get("/console/").body
	require.Contains(t, overview, `href="/console/handover?endpoint=guild"`)
	require.Contains(t, overview, "<code>sluice handover show guild</code>")
	require.NotContains(t, overview, "Everything works")
	page := p.get("/console/handover?endpoint=guild")
	require.Equal(t, http.StatusOK, page.status)
	for _, text := range []string{spend, "endpoint guild: answered 503", "12 times in a row", "open", "1 × banner", ">12<"} {
		require.Contains(t, page.body, text)
	}
	require.NotContains(t, page.body, "sword")
}
