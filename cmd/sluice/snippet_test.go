package main

import (
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv/browser"
)

// TestTheTypeScriptSnippetKeepsTheContract runs docs/client/sluice.ts in a real
// browser against a running server, in every way in which a tap can go. The file that
// is served is made of it, types taken away: internal/gemstore has the test. It takes
// some twenty seconds: the player is slowed down on purpose.
func TestTheTypeScriptSnippetKeepsTheContract(t *testing.T) {
	t.Parallel()
	const player = "shopper_snippet"
	s := newSite(t, "SLUICE_PLAYER_RATE=4").seed().up()
	s.give(player, economy.Amounts{"GEM": 4_900})
	page := browser.Open(t, "http://"+s.apiAddr, "/store/", browser.Desktop)
	page.Allow(regexp.MustCompile(`^network .* status of (400|401|402|429|500) `).MatchString) // answers that are asked for
	s.control(http.MethodPatch, "/webhooks", `{"lose":1}`, nil)
	scenarios, err := os.ReadFile("testdata/client_scenarios.js")
	require.NoError(t, err)
	results := map[string]string{}
	page.Eval(string(scenarios), &results)
	require.Greater(t, len(results), 10)
	for name, result := range results {
		require.Equal(t, "ok", result, name)
	}
}
