package economy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

func shelf() economy.Catalog {
	item := func(id string, change func(*economy.Item)) economy.Item {
		it := economy.Item{
			ID: id, Name: id, Price: economy.Amounts{"GEM": 50}, QuantityMin: 1, QuantityMax: 99,
			HandOver: economy.HandOver{Port: economy.HandOverInventory},
		}
		change(&it)
		return it
	}
	c := economy.Catalog{Version: 7, Items: map[string]economy.Item{}}
	for _, it := range []economy.Item{
		item("plain", func(*economy.Item) {}),
		item("paused", func(it *economy.Item) { it.Paused = true }),
		item("window", func(it *economy.Item) { it.AvailableFrom, it.AvailableUntil = now, now.Add(time.Hour) }),
		item("pairs", func(it *economy.Item) { it.QuantityMin, it.QuantityMax = 2, 4 }),
		item("two", func(it *economy.Item) { it.Price = economy.Amounts{"GEM": 10, "GOLD": 200} }),
		item("palace", func(it *economy.Item) { it.Price = economy.Amounts{"GEM": economy.BalanceMax} }),
		item("paused_past", func(it *economy.Item) { it.Paused, it.AvailableUntil = true, accepted }),
	} {
		c.Items[it.ID] = it
	}
	return c
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		item     string
		quantity int64
		at       time.Time
		cost     economy.Amounts
		err      error
	}{
		{"one", "plain", 1, now, economy.Amounts{"GEM": 50}, nil},
		{"the most", "plain", 99, now, economy.Amounts{"GEM": 4950}, nil},
		{"one too many", "plain", 100, now, nil, economy.ErrQuantity},
		{"none", "plain", 0, now, nil, economy.ErrQuantity},
		{"negative", "plain", -1, now, nil, economy.ErrQuantity},
		{"below its smallest", "pairs", 1, now, nil, economy.ErrQuantity},
		{"its smallest", "pairs", 2, now, economy.Amounts{"GEM": 100}, nil},
		{"two currencies", "two", 3, now, economy.Amounts{"GEM": 30, "GOLD": 600}, nil},
		{"unknown", "Plain", 1, now, nil, economy.ErrUnknownItem},
		{"no id", "", 1, now, nil, economy.ErrUnknownItem},
		{"paused", "paused", 1, now, nil, economy.ErrItemPaused},
		{"paused comes before the window", "paused_past", 1, now, nil, economy.ErrItemPaused},
		{"quantity comes before paused", "paused", 100, now, nil, economy.ErrQuantity},
		{"a moment early", "window", 1, now.Add(-1), nil, economy.ErrNotYetOnSale},
		{"first moment", "window", 1, now, economy.Amounts{"GEM": 50}, nil},
		{"last moment", "window", 1, now.Add(time.Hour - 1), economy.Amounts{"GEM": 50}, nil},
		{"until is exclusive", "window", 1, now.Add(time.Hour), nil, economy.ErrNoLongerOnSale},
		{"nobody could pay", "palace", 2, now, nil, economy.ErrQuantity},
	} {
		q, err := shelf().Quote(c.item, c.quantity, c.at)
		if !errors.Is(err, c.err) || !q.Cost.Equal(c.cost) {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, q.Cost, err, c.cost, c.err)
		}
		if c.err == nil && (q.Item.ID != c.item || q.Quantity != c.quantity || q.CatalogVersion != 7) {
			t.Errorf("%s: quote %+v", c.name, q)
		}
	}
	if _, err := shelf().Quote("palace", 2, now); !errors.Is(err, economy.ErrAmountRange) {
		t.Errorf("a sum beyond any balance: %v", err)
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	t.Parallel()
	c := economy.Catalog{Items: map[string]economy.Item{
		"a": {ID: "a", Price: economy.Amounts{"GEM": 1}, QuantityMin: 1, QuantityMax: 1, HandOver: economy.HandOver{Port: economy.HandOverRefuse}},
		"b": {ID: "b", Price: economy.Amounts{"GEM": -5, "no code": 1}, QuantityMin: 0, QuantityMax: 3, PlayerLimit: -1,
			AvailableFrom: now, AvailableUntil: now, HandOver: economy.HandOver{Port: "post"}},
		"c": {ID: "d", QuantityMin: 1, QuantityMax: 1, HandOver: economy.HandOver{Port: economy.HandOverInventory}},
		"e": {ID: "e", Price: economy.Amounts{"GEM": economy.BalanceMax}, QuantityMin: 1, QuantityMax: 2,
			HandOver: economy.HandOver{Port: economy.HandOverInventory}},
		"f": {ID: "f", Price: economy.Amounts{"GEM": -5}, QuantityMin: 1, QuantityMax: 2, HandOver: economy.HandOver{Port: economy.HandOverInventory}},
		"g": {ID: "g", Price: economy.Amounts{"GEM": 1}, QuantityMin: 1, QuantityMax: 1,
			HandOver: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "Game Server", Patience: -time.Second}},
		"h": {ID: "h", Price: economy.Amounts{"GEM": 1}, QuantityMin: 1, QuantityMax: 1,
			HandOver: economy.HandOver{Port: economy.HandOverInventory, Endpoint: "game"}},
	}}
	want := []string{
		`item "b": price of -5 GEM: use 1 to 2000000000`,
		`item "b": price: currency "no code": use 1 to 10 letters, digits or underscores`,
		`item "b": quantity from 0 to 3: use a range of 1 or more`,
		`item "b": player_limit -1: use 0 for none, or 1 or more`,
		`item "b": available_until must be later than available_from`,
		`item "b": hand_over port "post": use inventory, http or refuse`,
		`item "c": calls itself "d": use one id`,
		`item "c": price is missing: name at least one currency, such as GEM: 50`,
		`item "e": price times the largest quantity 2 exceeds 2000000000, the most a balance can hold: lower either`,
		`item "f": price of -5 GEM: use 1 to 2000000000`,
		`item "g": hand_over endpoint "Game Server": use up to 32 lower-case letters, digits, _ and -, such as game`,
		`item "g": hand_over patience -1s: use 0s for the configured one, or more`,
		`item "h": hand_over names an endpoint or a patience: they are for port http`,
	}
	err := c.Validate()
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if err := (economy.Catalog{}).Validate(); err == nil {
		t.Error("an empty catalogue is valid")
	}
	for _, id := range []string{"", strings.Repeat("x", 101)} {
		it := c.Items["a"]
		it.ID = id
		if err := (economy.Catalog{Items: map[string]economy.Item{id: it}}).Validate(); err == nil {
			t.Errorf("id of %d characters is valid", len(id))
		}
	}
}
