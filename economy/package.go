package economy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Package is what a product of the stores brings: accesses, items, or both. What
// currency it brings is the provider's business and only shown.
type Package struct {
	ID          string
	Name        string             // shown to people
	Products    map[Store][]string // the stores' product ids that sell it
	Accesses    []PackageAccess
	Items       []PackageItem
	Credits     Amounts // currency that the provider credits for it by itself: shown as pending, never granted by us
	Consumable  bool    // used up by whoever bought it: a transfer leaves its items behind
	FamilyShare bool    // who shares it as a family member gets its accesses; its items never
	TrialItems  bool    // its items come with a trial already, which nobody has paid for
}

// PackageAccess is the right to use a module for a time.
type PackageAccess struct {
	Module string
	Lasts  Lasts
}

// PackageItem is an item in our inventory, with every unit bought.
type PackageItem struct {
	Item     string
	Quantity int64
}

// Lasts is how long an access lasts: the zero Lasts as long as the store says
// (the end of the paid period), a duration from the purchase on, or for ever.
type Lasts struct {
	For     time.Duration // 0: not a duration
	Forever bool
}

// The words of Lasts.
const (
	lastsPeriod  = "period"
	lastsForever = "forever"
)

// String returns the text ParseLasts reads.
func (l Lasts) String() string {
	switch {
	case l.Forever:
		return lastsForever
	case l.For == 0:
		return lastsPeriod
	case l.For%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", l.For/(24*time.Hour))
	}
	return l.For.String()
}

// lastsDaysMax bounds a duration to a century; longer is for ever, and says so.
const lastsDaysMax = 100 * 365

// ParseLasts reads "period", "forever", days such as "30d", or a Go duration such as "12h".
func ParseLasts(text string) (Lasts, error) {
	switch text {
	case lastsPeriod:
		return Lasts{}, nil
	case lastsForever:
		return Lasts{Forever: true}, nil
	}
	var d time.Duration
	var err error
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var days int64
		days, err = strconv.ParseInt(number, 10, 32)
		d = time.Duration(min(days, lastsDaysMax+1)) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d <= 0 || d > lastsDaysMax*24*time.Hour {
		return Lasts{}, fmt.Errorf("%q is not a time: use period, forever, days such as 30d, or hours such as 12h", text)
	}
	return Lasts{For: d}, nil
}

// PackageOf returns the package that a store's product sells. Google's
// product:baseplan is looked up as it is and then without its base plan.
func (c Catalog) PackageOf(store Store, product string) (Package, bool) {
	names := []string{product}
	if name, _, ok := strings.Cut(product, ":"); ok && store == PlayStore {
		names = append(names, name)
	}
	for _, name := range names {
		if id, ok := c.SoldBy(store, name); ok {
			return c.Packages[id], true
		}
	}
	return Package{}, false
}

// SoldBy returns the id of the package that lists exactly this product of a store.
func (c Catalog) SoldBy(store Store, product string) (packageID string, ok bool) {
	for id, p := range c.Packages {
		if slices.Contains(p.Products[store], product) {
			return id, true
		}
	}
	return "", false
}

var storePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)

// packageProblems returns what is wrong with the packages, each naming its own.
func (c Catalog) packageProblems() []error {
	var problems []error
	type sold struct {
		store   Store
		product string
	}
	seller := map[sold]string{}
	for _, id := range slices.Sorted(maps.Keys(c.Packages)) {
		p := c.Packages[id]
		add := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("package %q: %w", id, fmt.Errorf(format, args...)))
		}
		if p.ID != id {
			add("calls itself %q: use one id", p.ID)
		}
		for _, problem := range p.problems() {
			add("%w", problem)
		}
		for _, store := range slices.Sorted(maps.Keys(p.Products)) {
			for _, product := range p.Products[store] {
				if other, taken := seller[sold{store, product}]; taken && other != id {
					add("products: %s of %s is sold by package %q already: keep one", product, store, other)
					continue
				}
				seller[sold{store, product}] = id
			}
		}
	}
	return problems
}

func (p Package) problems() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	named := func(id string) bool { return id != "" && len(id) <= itemIDMax }
	if !named(p.ID) {
		add("id must have 1 to %d characters", itemIDMax)
	}
	if len(p.Products) == 0 {
		add("products are missing: name at least one store and its product ids, such as app_store: [gems_100]")
	}
	for _, store := range slices.Sorted(maps.Keys(p.Products)) {
		if !storePattern.MatchString(string(store)) {
			add("products: store %q: use the provider's name in lower case, such as app_store or play_store", store)
		}
		if len(p.Products[store]) == 0 || slices.ContainsFunc(p.Products[store], func(id string) bool { return id == "" || len(id) > productIDMax }) {
			add("products: %s needs product ids of 1 to %d characters", store, productIDMax)
		}
	}
	if len(p.Accesses)+len(p.Items)+len(p.Credits) == 0 {
		add("it brings nothing: list accesses, items or credits")
	}
	modules, items := map[string]bool{}, map[string]bool{}
	for _, a := range p.Accesses {
		if !named(a.Module) || modules[a.Module] {
			add("accesses: module %q: use 1 to %d characters, each module once", a.Module, itemIDMax)
		}
		modules[a.Module] = true
	}
	for _, it := range p.Items {
		if !named(it.Item) || items[it.Item] {
			add("items: %q: use 1 to %d characters, each item once", it.Item, itemIDMax)
		}
		if it.Quantity < 1 || it.Quantity > quantityMax {
			add("items: %q, quantity %d: use 1 to %d", it.Item, it.Quantity, quantityMax)
		}
		items[it.Item] = true
	}
	for _, currency := range p.Credits.Currencies() {
		if err := currency.Validate(); err != nil {
			add("credits: %w", err)
		}
		if amount := p.Credits[currency]; amount < 1 || amount > BalanceMax {
			add("credits of %d %s: use 1 to %d", amount, currency, BalanceMax)
		}
	}
	return problems
}
