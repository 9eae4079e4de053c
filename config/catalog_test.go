package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
)

func TestTheDemoCatalogueShowsEveryRefusal(t *testing.T) {
	t.Parallel()
	c := config.DemoCatalog()
	for id, price := range map[string]economy.Amounts{
		"extra_life": {"GEM": 50}, "legendary_skin": {"GEM": 5000}, "cursed_relic": {"GEM": 25}, "twin_blade": {"GEM": 10, "GOLD": 200},
	} {
		if got := c.Items[id].Price; !got.Equal(price) {
			t.Errorf("%s costs %s, want %s", id, got, price)
		}
	}
	if port := c.Items["cursed_relic"].HandOver.Port; port != economy.HandOverRefuse {
		t.Errorf("the relic is handed over by %s", port)
	}
	paused, past, limited := 0, 0, 0
	for _, it := range c.Items {
		if it.Paused {
			paused++
		}
		if !it.AvailableUntil.IsZero() && it.AvailableUntil.Year() < 2026 {
			past++
		}
		if it.PlayerLimit == 1 {
			limited++
		}
	}
	if paused == 0 || past == 0 || limited == 0 {
		t.Errorf("%d paused, %d past, %d limited: want one of each", paused, past, limited)
	}
}

func TestACatalogueIsReadWithItsDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.ParseCatalog("c", []byte(`
items:
  plain:
    price: {GEM: 50}
  whole:
    name: Whole
    price: {GEM: 1, GOLD: 2}
    quantity: {min: 2, max: 3}
    player_limit: 4
    available_from: 2026-01-01T02:00:00+02:00
    available_until: 2026-02-01T00:00:00Z
    paused: true
    hand_over: {port: refuse, reason: shown}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := economy.Catalog{Items: map[string]economy.Item{
		"plain": {ID: "plain", Name: "plain", Price: economy.Amounts{"GEM": 50}, QuantityMin: 1, QuantityMax: 99,
			HandOver: economy.HandOver{Port: economy.HandOverInventory}},
		"whole": {ID: "whole", Name: "Whole", Price: economy.Amounts{"GEM": 1, "GOLD": 2}, QuantityMin: 2, QuantityMax: 3,
			PlayerLimit:    4,
			AvailableFrom:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			AvailableUntil: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
			Paused:         true, HandOver: economy.HandOver{Port: economy.HandOverRefuse, Reason: "shown"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEveryProblemOfACatalogueIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.ParseCatalog("c", []byte("itms: {}\nitems:\n  a:\n    price: {GEM: x, gem!: 1}\n    paused: on\n  b:\n    prise: 1\n    player_limit: -1\n"))
	want := strings.Join([]string{
		"c:1: itms is not a known key: the nearest known one is items",
		`c:4: items.a.price.GEM: "x" is not a whole number: write one such as 50`,
		`c:5: items.a.paused: "on" is neither true nor false: write one of them`,
		`c:4: items.a: price: currency "gem!": use 1 to 10 letters, digits or underscores`,
		"c:7: items.b.prise is not a known key: the nearest known one is items.b.price",
		"c:6: items.b: price is missing: name at least one currency, such as GEM: 50",
		"c:8: items.b: player_limit -1: use 0 for none, or 1 or more",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func FuzzParseCatalog(f *testing.F) {
	f.Add("items:\n  a:\n    price: {GEM: 1}\n")
	f.Add("items: &x\n  a: *x\n")
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := config.ParseCatalog("c", []byte(raw))
		if err == nil && c.Validate() != nil {
			t.Errorf("accepted an invalid catalogue: %v", c.Validate())
		}
	})
}
