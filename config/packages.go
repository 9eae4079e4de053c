package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// anyItem makes a catalogue of packages alone valid, to find their own problems.
var anyItem = map[string]economy.Item{"x": {
	ID: "x", Price: economy.Amounts{"X": 1}, QuantityMin: 1, QuantityMax: 1, HandOver: economy.HandOver{Port: economy.HandOverInventory},
}}

// packages reads what the stores sell. nil: none.
func (p catalogParser) packages(at entry) map[string]economy.Package {
	var out map[string]economy.Package
	for _, f := range p.fields(at.value, at.path) {
		if out == nil {
			out = map[string]economy.Package{}
		}
		parsed, lines := p.onePackage(f)
		prefix := fmt.Sprintf("package %q: ", parsed.ID)
		p.report(economy.Catalog{Items: anyItem, Packages: map[string]economy.Package{parsed.ID: parsed}}.Validate(), prefix, f, lines)
		p.soldTwice(out, parsed, f)
		out[parsed.ID] = parsed
	}
	return out
}

// soldTwice reports a product that an earlier package sells already.
func (p catalogParser) soldTwice(earlier map[string]economy.Package, parsed economy.Package, at entry) {
	c := economy.Catalog{Packages: earlier}
	for _, store := range slices.Sorted(maps.Keys(parsed.Products)) {
		for _, product := range parsed.Products[store] {
			if other, taken := c.SoldBy(store, product); taken {
				p.problem(at.line, "%s: products: %s of %s is sold by package %q already: keep one", at.path, product, store, other)
			}
		}
	}
}

func (p catalogParser) onePackage(at entry) (economy.Package, map[string]int) {
	out := economy.Package{ID: at.name, Name: at.name, FamilyShare: true}
	lines := make(map[string]int)
	for _, f := range p.known(at.value, at.path, "name", "products", "accesses", "items", "credits", "consumable", "family_share", "trial_items") {
		lines[f.name] = f.line
		switch f.name {
		case "name":
			p.text(f, &out.Name)
		case "products":
			out.Products = map[economy.Store][]string{}
			for _, store := range p.fields(f.value, f.path) {
				out.Products[economy.Store(store.name)] = p.list(store)
			}
		case "accesses":
			for _, module := range p.fields(f.value, f.path) {
				out.Accesses = append(out.Accesses, p.access(module))
			}
		case "items":
			for _, item := range p.fields(f.value, f.path) {
				quantity := int64(0)
				p.integer(item, &quantity)
				out.Items = append(out.Items, economy.PackageItem{Item: item.name, Quantity: quantity})
			}
		case "credits":
			out.Credits = p.price(f)
		case "consumable":
			p.boolean(f, &out.Consumable)
		case "family_share":
			p.boolean(f, &out.FamilyShare)
		case "trial_items":
			p.boolean(f, &out.TrialItems)
		}
	}
	return out, lines
}

func (p catalogParser) access(at entry) economy.PackageAccess {
	access := economy.PackageAccess{Module: at.name}
	value, ok := p.scalar(at)
	if !ok {
		p.problem(at.line, "%s has no time: write period, forever, or one such as 30d", at.path) // never given for the placeholder
		return access
	}
	lasts, err := economy.ParseLasts(strings.TrimSpace(value))
	if err != nil {
		p.problem(at.line, "%s: %s", at.path, err)
	}
	access.Lasts = lasts
	return access
}
