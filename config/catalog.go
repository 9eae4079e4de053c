package config

import (
	_ "embed" // the demo catalogue
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/economy"
)

// What an item of a catalogue file has when it does not say.
const (
	defaultQuantityMin = 1
	defaultQuantityMax = 99
)

//go:embed examples/catalog.yaml
var demoCatalog []byte

// DemoCatalog returns the catalogue of `sluice dev`: items to buy, and one for
// every way of being refused.
func DemoCatalog() economy.Catalog {
	c, err := ParseCatalog("examples/catalog.yaml", demoCatalog)
	if err != nil {
		panic("config: " + err.Error()) // embedded, and tested
	}
	return c
}

// LoadCatalog reads the catalogue file at path. Errors are those of ParseCatalog
// and of reading the file.
func LoadCatalog(path string) (economy.Catalog, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("%s: %w: write the path of a readable catalogue", variable("SLUICE_CATALOG"), err)
	}
	return ParseCatalog(path, raw)
}

// ParseCatalog reads a catalogue; name stands for it in messages. It is valid
// when there is no error. The error holds every problem, one a line, with its
// line in the file. Version is 0: whoever stores the catalogue numbers it.
func ParseCatalog(name string, raw []byte) (economy.Catalog, error) {
	d := &document{name: name}
	p := catalogParser{document: d}
	items := make(map[string]economy.Item)
	var packages map[string]economy.Package
	if top := d.open(raw); top != nil {
		for _, f := range p.known(top, "", "items", "packages") {
			if f.name == "packages" {
				packages = p.packages(f)
				continue
			}
			for _, item := range d.fields(f.value, f.path) {
				items[item.name] = p.item(item)
			}
		}
	}
	if len(items) == 0 && len(d.problems) == 0 {
		d.problems = append(d.problems, fmt.Errorf("%s: %w", name, economy.Catalog{}.Validate()))
	}
	if len(d.problems) > 0 {
		return economy.Catalog{}, errors.Join(d.problems...)
	}
	return economy.Catalog{Items: items, Packages: packages}, nil
}

// catalogParser reads items. A value that cannot be read is reported and takes a
// harmless place, so that the item's other problems are found as well.
type catalogParser struct{ *document }

// known returns the fields of a mapping that are among names, and reports others.
func (p catalogParser) known(node *yaml.Node, path string, names ...string) []entry {
	var out []entry
	for _, f := range p.fields(node, path) {
		if slices.Contains(names, f.name) {
			out = append(out, f)
			continue
		}
		paths := make([]string, len(names))
		for i, name := range names {
			paths[i] = join(path, name)
		}
		p.unknown(f, paths)
	}
	return out
}

func (p catalogParser) item(at entry) economy.Item {
	it := economy.Item{
		ID: at.name, Name: at.name,
		QuantityMin: defaultQuantityMin, QuantityMax: defaultQuantityMax,
		HandOver: economy.HandOver{Port: economy.HandOverInventory},
	}
	lines := make(map[string]int)
	for _, f := range p.known(at.value, at.path, "name", "price", "quantity", "player_limit",
		"available_from", "available_until", "paused", "hand_over") {
		lines[f.name] = f.line
		switch f.name {
		case "name":
			p.text(f, &it.Name)
		case "price":
			it.Price = p.price(f)
		case "quantity":
			p.quantity(f, &it)
		case "player_limit":
			p.integer(f, &it.PlayerLimit)
		case "available_from":
			p.time(f, &it.AvailableFrom)
		case "available_until":
			p.time(f, &it.AvailableUntil)
		case "paused":
			p.boolean(f, &it.Paused)
		case "hand_over":
			p.handOver(f, &it.HandOver)
		}
	}
	p.validate(it, at, lines)
	return it
}

// validate reports the rules of economy an item breaks, at the line of the field
// the message begins with, or of the item when it is about none.
func (p catalogParser) validate(it economy.Item, at entry, lines map[string]int) {
	one := economy.Catalog{Items: map[string]economy.Item{it.ID: it}}
	p.report(one.Validate(), fmt.Sprintf("item %q: ", it.ID), at, lines)
}

// report reports the problems of what stands at an entry, each at the line of the
// field its message begins with. prefix is how they name what they are about.
func (p catalogParser) report(problems error, prefix string, at entry, lines map[string]int) {
	for _, problem := range joined(problems) {
		text := strings.TrimPrefix(problem.Error(), prefix)
		line := at.line
		for name, n := range lines {
			if strings.HasPrefix(text, name) {
				line = n
			}
		}
		p.problem(line, "%s: %s", at.path, text)
	}
}

func (p catalogParser) price(at entry) economy.Amounts {
	price := make(economy.Amounts)
	for _, f := range p.fields(at.value, at.path) {
		amount := int64(1)
		if isNull(f.value) || f.value.Kind == yaml.ScalarNode && f.value.Value == "" {
			p.problem(f.line, "%s has no amount: write one such as 50", f.path) // never sold for the placeholder
		}
		p.integer(f, &amount)
		price[economy.Currency(f.name)] = economy.Amount(amount)
	}
	return price
}

func (p catalogParser) quantity(at entry, it *economy.Item) {
	for _, f := range p.known(at.value, at.path, "min", "max") {
		if f.name == "min" {
			p.integer(f, &it.QuantityMin)
		} else {
			p.integer(f, &it.QuantityMax)
		}
	}
}

func (p catalogParser) handOver(at entry, to *economy.HandOver) {
	for _, f := range p.known(at.value, at.path, "port", "reason", "endpoint", "patience") {
		switch f.name {
		case "port":
			p.text(f, &to.Port)
		case "reason":
			p.text(f, &to.Reason)
		case "endpoint":
			p.text(f, &to.Endpoint)
		case "patience":
			p.duration(f, &to.Patience)
		}
	}
	if to.Port == economy.HandOverHTTP && to.Endpoint == "" {
		to.Endpoint = economy.EndpointDefault
	}
}

func (p catalogParser) duration(f entry, to *time.Duration) {
	value, ok := p.scalar(f)
	if !ok {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		p.problem(f.line, "%s: %q is not a duration: write a number with its unit, such as 300s or 5m", f.path, value)
		return
	}
	*to = d
}

func (p catalogParser) text(f entry, to *string) {
	if value, ok := p.scalar(f); ok {
		*to = value
	}
}

func (p catalogParser) integer(f entry, to *int64) {
	value, ok := p.scalar(f)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		p.problem(f.line, "%s: %q is not a whole number: write one such as 50", f.path, value)
		return
	}
	*to = n
}

func (p catalogParser) boolean(f entry, to *bool) {
	switch value, ok := p.scalar(f); {
	case !ok:
	case value == "true" || value == "false":
		*to = value == "true"
	default:
		p.problem(f.line, "%s: %q is neither true nor false: write one of them", f.path, value)
	}
}

func (p catalogParser) time(f entry, to *time.Time) {
	value, ok := p.scalar(f)
	if !ok {
		return
	}
	moment, err := time.Parse(time.RFC3339, value)
	if err != nil {
		p.problem(f.line, "%s: %q is not a time: write one such as 2026-01-01T00:00:00Z", f.path, value)
		return
	}
	*to = moment.UTC()
}
