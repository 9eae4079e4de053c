package main

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// The simulated stores sell what the catalogue lists. What it does not say is made
// up: every price, and how long a paid period is. The simulator's controls take a
// period for each purchase.
const (
	simulatedPrice  = 4.99
	simulatedPeriod = 30 * 24 * time.Hour
)

// readCatalog returns the catalogue the settings name, or the demo's.
func readCatalog(path string) (economy.Catalog, error) {
	if path == "" {
		return config.DemoCatalog(), nil
	}
	return config.LoadCatalog(path)
}

// stock completes a simulator's configuration with the products of a catalogue, and
// the currencies they bring.
func stock(c simulator.Config, catalog economy.Catalog) simulator.Config {
	c.Currencies = map[economy.Currency]string{"GEM": "Gems", "GOLD": "Gold"}
	for _, id := range slices.Sorted(maps.Keys(catalog.Packages)) {
		p := catalog.Packages[id]
		for _, code := range p.Credits.Currencies() {
			c.Currencies[code] = cmp.Or(c.Currencies[code], string(code))
		}
		lasts := time.Duration(0)
		if slices.ContainsFunc(p.Accesses, func(a economy.PackageAccess) bool { return a.Lasts == economy.Lasts{} }) {
			lasts = simulatedPeriod
		}
		for _, store := range slices.Sorted(maps.Keys(p.Products)) {
			for _, product := range p.Products[store] {
				c.Products = append(c.Products, simulator.Product{
					Store: string(store), Identifier: product, Name: cmp.Or(p.Name, id), Price: simulatedPrice, Lasts: lasts, Credits: p.Credits,
				})
			}
		}
	}
	return c
}

// webhookURL is where an API that listens on addr takes webhooks, from this machine.
func webhookURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr + "/webhooks/revenuecat"
}

// webhooksTo is how a simulator sends webhooks that this configuration takes.
func webhooksTo(url string, w config.Webhook) simulator.Webhooks {
	out := simulator.Webhooks{URL: url, Authorization: w.Authorization.Reveal()}
	if len(w.SigningSecrets) > 0 {
		out.SigningSecret = w.SigningSecrets[0].Reveal()
	}
	return out
}
