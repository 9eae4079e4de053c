package economy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Catalog is one version of what can be bought: items and their prices in virtual
// currency, and packages, which the stores sell for money.
type Catalog struct {
	Version  int64 // the row in catalog_versions; 0 until stored
	Items    map[string]Item
	Packages map[string]Package // nil: none
}

// Item is one thing a player can spend on.
type Item struct {
	ID             string
	Name           string    // shown to people
	Price          Amounts   // for one
	QuantityMin    int64     // smallest quantity of one spend, 1 or more
	QuantityMax    int64     // largest quantity of one spend
	PlayerLimit    int64     // how many one player may ever hold or have under way; 0: no limit
	AvailableFrom  time.Time // zero: since ever
	AvailableUntil time.Time // exclusive; zero: for ever
	Paused         bool      // live-ops took it off sale; spends under way go on
	HandOver       HandOver
}

// HandOver says how an item reaches the player.
type HandOver struct {
	Port     string        // HandOverInventory, HandOverHTTP or HandOverRefuse
	Reason   string        // for HandOverRefuse: why it is refused, shown by sluice spend show
	Endpoint string        // for HandOverHTTP: which of the configured endpoints is asked
	Patience time.Duration // for HandOverHTTP: how long after the charge it may fail before the cost goes back; 0: as configured
}

// The hand-over ports.
const (
	HandOverInventory = "inventory" // a row in our own inventory, in the commit that fulfils the spend
	HandOverHTTP      = "http"      // an endpoint of the game's own servers
	HandOverRefuse    = "refuse"    // always refused: shows and tests the refund road
)

// EndpointDefault is the name of the endpoint when a game has only one.
const EndpointDefault = "game"

// endpointName is what an endpoint may be called: a word in metrics and settings.
var endpointName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// ValidEndpoint reports whether an endpoint may have this name.
func ValidEndpoint(name string) bool { return endpointName.MatchString(name) }

// Quote is what a spend will cost and by which version of the catalogue.
type Quote struct {
	Item           Item
	Quantity       int64
	Cost           Amounts
	CatalogVersion int64
}

// The refusals of Catalog.Quote; errors.Is tells them apart.
var (
	ErrUnknownItem    = errors.New("no such item in the catalogue")
	ErrQuantity       = errors.New("quantity is not allowed for this item")
	ErrItemPaused     = errors.New("item is paused")
	ErrNotYetOnSale   = errors.New("item is not on sale yet")
	ErrNoLongerOnSale = errors.New("item is no longer on sale")
)

// Quote prices quantity of an item at a moment, or says why it is not for sale.
func (c Catalog) Quote(item string, quantity int64, now time.Time) (Quote, error) {
	it, ok := c.Items[item]
	if !ok {
		return Quote{}, fmt.Errorf("item %q: %w", item, ErrUnknownItem)
	}
	if quantity < it.QuantityMin || quantity > it.QuantityMax {
		return Quote{}, fmt.Errorf("item %q, quantity %d, allowed are %d to %d: %w",
			item, quantity, it.QuantityMin, it.QuantityMax, ErrQuantity)
	}
	switch {
	case it.Paused:
		return Quote{}, fmt.Errorf("item %q: %w", item, ErrItemPaused)
	case now.Before(it.AvailableFrom):
		return Quote{}, fmt.Errorf("item %q, on sale from %s: %w", item, it.AvailableFrom.Format(time.RFC3339), ErrNotYetOnSale)
	case !it.AvailableUntil.IsZero() && !now.Before(it.AvailableUntil):
		return Quote{}, fmt.Errorf("item %q, on sale until %s: %w", item, it.AvailableUntil.Format(time.RFC3339), ErrNoLongerOnSale)
	}
	cost, err := it.Price.Times(quantity)
	if err != nil {
		return Quote{}, fmt.Errorf("item %q, quantity %d: %w: %w", item, quantity, ErrQuantity, err)
	}
	return Quote{Item: it, Quantity: quantity, Cost: cost, CatalogVersion: c.Version}, nil
}

// Validate returns every problem of the catalogue, joined, each naming the item
// and what to write instead.
func (c Catalog) Validate() error {
	var problems []error
	if len(c.Items) == 0 {
		problems = append(problems, errors.New("catalogue has no items: list at least one under items"))
	}
	for _, id := range slices.Sorted(maps.Keys(c.Items)) {
		if named := c.Items[id].ID; named != id {
			problems = append(problems, fmt.Errorf("item %q: calls itself %q: use one id", id, named))
		}
		for _, problem := range c.Items[id].problems() {
			problems = append(problems, fmt.Errorf("item %q: %w", id, problem))
		}
	}
	return errors.Join(append(problems, c.packageProblems()...)...)
}

// itemIDMax keeps item ids readable in logs, metrics and index rows.
const itemIDMax = 100

func (it Item) problems() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if it.ID == "" || len(it.ID) > itemIDMax {
		add("id must have 1 to %d characters", itemIDMax)
	}
	if len(it.Price) == 0 {
		add("price is missing: name at least one currency, such as GEM: 50")
	}
	priced := true // every amount is one somebody can pay for one item
	for _, currency := range it.Price.Currencies() {
		if err := currency.Validate(); err != nil {
			add("price: %w", err)
		}
		if amount := it.Price[currency]; amount < 1 || amount > BalanceMax {
			add("price of %d %s: use 1 to %d", amount, currency, BalanceMax)
			priced = false
		}
	}
	if it.QuantityMin < 1 || it.QuantityMax < it.QuantityMin {
		add("quantity from %d to %d: use a range of 1 or more", it.QuantityMin, it.QuantityMax)
	} else if _, err := it.Price.Times(it.QuantityMax); err != nil && priced {
		add("price times the largest quantity %d exceeds %d, the most a balance can hold: lower either", it.QuantityMax, BalanceMax)
	}
	if it.PlayerLimit < 0 {
		add("player_limit %d: use 0 for none, or 1 or more", it.PlayerLimit)
	}
	if !it.AvailableUntil.IsZero() && !it.AvailableUntil.After(it.AvailableFrom) {
		add("available_until must be later than available_from")
	}
	return append(problems, it.HandOver.problems()...)
}

func (h HandOver) problems() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch h.Port {
	case HandOverInventory, HandOverRefuse:
		if h.Endpoint != "" || h.Patience != 0 {
			add("hand_over names an endpoint or a patience: they are for port %s", HandOverHTTP)
		}
	case HandOverHTTP:
		if !ValidEndpoint(h.Endpoint) {
			add("hand_over endpoint %q: use up to 32 lower-case letters, digits, _ and -, such as %s", h.Endpoint, EndpointDefault)
		}
		if h.Patience < 0 {
			add("hand_over patience %s: use 0s for the configured one, or more", h.Patience)
		}
	default:
		add("hand_over port %q: use %s, %s or %s", h.Port, HandOverInventory, HandOverHTTP, HandOverRefuse)
	}
	return problems
}
