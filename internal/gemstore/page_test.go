package gemstore

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// newStore is a store in front of a real simulator and a real sample game, without a
// database: what is tested with it asks for none.
func newStore(t *testing.T) (http.Handler, *simulator.Simulator, *samplegame.Game) {
	t.Helper()
	sim, err := simulator.New(simulator.Config{Products: []simulator.Product{
		{Store: appStore, Identifier: "gems_100", Name: "gems", Price: 4.99, Credits: economy.Amounts{"GEM": 100}},
		{Store: "play_store", Identifier: "gems_100", Price: 4.99, Credits: economy.Amounts{"GEM": 100}},
		{Store: appStore, Identifier: "monthly", Price: 4.99, Lasts: time.Hour, Credits: economy.Amounts{"GEM": 100}},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	game, err := samplegame.New(samplegame.Config{Secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})
	require.NoError(t, err)
	provider, server := httptest.NewServer(sim), httptest.NewServer(game)
	t.Cleanup(provider.Close)
	t.Cleanup(server.Close)
	store, err := New(Config{
		DB: &sqlx.DB{}, Stream: noStream{}, Simulator: provider.URL, Game: server.URL, ServerKey: "key", Rate: 480,
		Catalog: func() economy.Catalog {
			return economy.Catalog{Items: map[string]economy.Item{
				"life":   {ID: "life", Name: "Life", Price: economy.Amounts{"GEM": 9_007_199_254_740_993 % economy.BalanceMax, "GOLD": 1}, QuantityMin: 1, QuantityMax: 1},
				"paused": {ID: "paused", Name: "Paused", Price: economy.Amounts{"GEM": 1}, QuantityMin: 1, QuantityMax: 1, Paused: true},
			}}
		},
		Sign: func(player string) (string, error) { return "session of " + player, nil },
		Now:  time.Now, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	store.Routes(mux)
	return mux, sim, game
}

type noStream struct{ Stream }

// ask sends a request as a browser on this machine does; change makes it another.
func ask(t *testing.T, h http.Handler, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8080"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheStoreAnswersThisMachineOnly(t *testing.T) {
	t.Parallel()
	h, _, _ := newStore(t)
	session := `{"player":"shopper_abcd"}`
	require.Equal(t, http.StatusOK, ask(t, h, "POST", "/store/session", session, nil).Code)
	for name, change := range map[string]func(*http.Request){
		"another machine":                  func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" },
		"a name that was made to point us": func(r *http.Request) { r.Host = "evil.example:8080" },
		"a page from elsewhere":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"an origin from elsewhere":         func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		w := ask(t, h, "POST", "/store/session", session, change)
		require.Equal(t, http.StatusForbidden, w.Code, name)
		require.NotContains(t, w.Body.String(), "session of", name)
	}
	for _, player := range []string{"player_1", "shopper_", "shopper_A", "shopper_ab cd", "$RCAnonymousID:shopper_abcd"} {
		w := ask(t, h, "POST", "/store/session", fmt.Sprintf(`{"player":%q}`, player), nil)
		require.Equal(t, http.StatusBadRequest, w.Code, "a session for %s", player)
	}
}

func TestTheShopSellsWhatCanBeBought(t *testing.T) {
	t.Parallel()
	h, sim, _ := newStore(t)
	shop := ask(t, h, "GET", "/store/shop", "", nil).Body.String()
	require.Equal(t, 1, strings.Count(shop, "gems_100"), "of one store")
	require.NotContains(t, shop, "monthly")
	require.NotContains(t, shop, "paused")
	require.Contains(t, shop, `"quest":[{"currency":"GOLD","amount":"200"}]`, "what no pack brings")
	require.Equal(t, http.StatusOK, ask(t, h, "POST", "/store/buy", `{"player":"shopper_abcd","product":"gems_100"}`, nil).Code)
	require.Equal(t, economy.Amounts{"GEM": 100}, sim.Balance("shopper_abcd"))
	require.Equal(t, http.StatusBadRequest, ask(t, h, "POST", "/store/buy", `{"player":"shopper_abcd","product":"monthly"}`, nil).Code)
}

// TestEverySwitchBreaksAndRepairs: what a switch says is what the simulator and the
// game do, and it shows what somebody else switched.
func TestEverySwitchBreaksAndRepairs(t *testing.T) {
	t.Parallel()
	h, sim, game := newStore(t)
	flip := func(id string, on bool) {
		w := ask(t, h, "POST", "/store/switch", fmt.Sprintf(`{"switch":%q,"on":%t}`, id, on), nil)
		require.Equal(t, http.StatusNoContent, w.Code, w.Body)
	}
	for _, one := range switches(480) {
		flip(one.ID, true)
	}
	require.Equal(t, simulator.Faults{Down: true, Delay: 2 * time.Second, LoseAnswer: 1, RatePerMinute: limited}, sim.Faults())
	require.Equal(t, samplegame.Faults{Down: true, Refuse: true}, game.Faults())
	flip("provider_down", false)
	require.False(t, sim.Faults().Down)
	require.True(t, game.Faults().Down, "another one's")
	require.Equal(t, http.StatusNoContent, ask(t, h, "POST", "/store/repair", "{}", nil).Code)
	require.Equal(t, simulator.Faults{RatePerMinute: 480}, sim.Faults(), "the limit of the start is back")
	require.Equal(t, samplegame.Faults{}, game.Faults())
	require.Equal(t, http.StatusBadRequest, ask(t, h, "POST", "/store/switch", `{"switch":"postgres","on":true}`, nil).Code)
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	t.Parallel()
	h, _, _ := newStore(t)
	w := ask(t, h, "GET", "/store/", "", nil)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, policy, w.Header().Get("Content-Security-Policy"))
	require.NotContains(t, policy, "unsafe")
	require.NotRegexp(t, `(?i)\s(style|on[a-z]+)=|<style|<script[^>]*>[^<]`, w.Body.String())
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if path := found[1]; !strings.HasPrefix(path, "#") && path != "/docs" {
			require.Equal(t, http.StatusOK, ask(t, h, "GET", "/store/"+path, "", nil).Code, path)
		}
	}
	for name, file := range assets {
		for _, address := range regexp.MustCompile(`https?://[^"' ]*`).FindAllString(string(file.content), -1) {
			require.Contains(t, []string{"http://www.w3.org/2000/svg", "https://sluice.dev/problems/"}, address, "%s names another server", name) // names, not addresses
		}
	}
}

// TestEveryTextCanBeRead: WCAG AA, by the ratio of the luminances of each text's
// colour and its ground, light and dark.
func TestEveryTextCanBeRead(t *testing.T) {
	t.Parallel()
	css := string(assets["page.css"].content)
	dark := strings.Index(css, "@media (prefers-color-scheme: dark)")
	for name, part := range map[string]string{"light": css[:dark], "dark": css[dark:]} {
		colour := map[string]string{}
		for _, found := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(part, -1) {
			if colour[found[1]] == "" {
				colour[found[1]] = found[2]
			}
		}
		for text, grounds := range map[string][]string{
			"text": {"ground", "surface", "sunk", "accent-soft"}, "quiet": {"ground", "surface", "sunk"},
			"accent": {"ground", "surface", "sunk", "accent-soft"}, "on-accent": {"accent"},
			"good": {"surface", "good-soft"}, "bad": {"surface", "bad-soft"}, "waiting": {"surface", "waiting-soft"},
			"working": {"surface", "working-soft"}, "gem": {"surface", "sunk"}, "gold": {"surface", "sunk"},
		} {
			for _, ground := range grounds {
				ratio := contrast(t, colour[text], colour[ground])
				require.GreaterOrEqual(t, ratio, 4.5, "%s: %s on %s", name, text, ground)
			}
		}
	}
}

// contrast is WCAG's ratio of two colours, such as 13222a.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(colour string) float64 {
		var rgb [3]uint8
		_, err := fmt.Sscanf(colour, "%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
		require.NoError(t, err, colour)
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			c := float64(rgb[i]) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	light, dark := luminance(a), luminance(b)
	return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)
}
