package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// TestAResyncFindsWhatNoWebhookTold: the operator's command reads the player from the
// provider, over all processes, and shows what that brought.
func TestAResyncFindsWhatNoWebhookTold(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.control(http.MethodPut, "/webhooks", `{"lose":1}`, nil)
	s.control(http.MethodPost, "/buy", `{"customer":"buyer","product":"starter_pack"}`, nil)
	s.control(http.MethodPost, "/link", `{"customer":"buyer","alias":"$RCAnonymousID:1"}`, nil)
	require.Empty(t, s.inventory(t, "buyer"))
	code, out, log := runs(t, s.env, "resync", "buyer", "--wait", "--json", "--reason", "ticket 17")
	require.Zero(t, code, log)
	var answer struct {
		EventID string `json:"event_id"`
		Reading struct {
			Found              bool
			Purchases, Changed int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer), out)
	require.True(t, answer.Reading.Found)
	require.Equal(t, []int{1, 1}, []int{answer.Reading.Purchases, answer.Reading.Changed})
	require.Contains(t, log, "resync requested by an operator")
	require.NotContains(t, log, "buyer")
	require.Eventually(t, func() bool { return s.inventory(t, "buyer")["extra_life"] == 10 }, startPatience, tick)
	var by string
	require.NoError(t, s.database().Get(&by, "SELECT wished_by FROM customer_readings WHERE app_user_id = 'buyer'"))
	require.True(t, strings.HasSuffix(by, ": ticket 17"), by)

	code, out, _ = runs(t, s.env, "resync", "nobody", "--wait")
	require.Zero(t, code)
	require.Contains(t, out, "RevenueCat does not know this customer")
	code, _, log = runs(t, s.env, "resync", "..", "--wait")
	require.Equal(t, exitFailed, code)
	require.Contains(t, log, "was set aside: revenuecat aliases: not sent: the id cannot be part of an address")
	code, _, _ = runs(t, s.env, "resync", "buyer", "--timeout", "0s")
	require.Equal(t, exitBadUsage, code)
}

func TestTheSimulatedStoresSellTheCatalogue(t *testing.T) {
	t.Parallel()
	catalog := config.DemoCatalog()
	catalog.Packages["rubies"] = economy.Package{Products: map[economy.Store][]string{"app_store": {"rubies"}}, Credits: economy.Amounts{"RUBY": 1}}
	c := stock(simulator.Config{}, catalog)
	require.Equal(t, map[economy.Currency]string{"GEM": "Gems", "GOLD": "Gold", "RUBY": "RUBY"}, c.Currencies)
	sim, err := simulator.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	for _, p := range catalog.Packages {
		for store, products := range p.Products {
			for _, product := range products {
				_, err := sim.Buy(simulator.Buy{Customer: "p", Product: product, Store: string(store)})
				require.NoError(t, err)
			}
		}
	}
	kinds := map[string]bool{}
	for _, p := range c.Products {
		kinds[p.Identifier] = p.Lasts > 0
		require.Positive(t, p.Price, "a price of 0 is told as a trial")
	}
	require.True(t, kinds["premium_monthly"])
	require.False(t, kinds["premium_lifetime"])
	require.False(t, kinds["gems_100"])
}

func TestWebhooksGoToThisMachine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "host:80": "host:80",
	} {
		require.Equal(t, "http://"+want+"/webhooks/revenuecat", webhookURL(addr))
	}
}
