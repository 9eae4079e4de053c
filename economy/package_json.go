package economy

import (
	"fmt"
	"slices"
)

// packageJSON is the stored form of a package, part of catalogJSON.
type packageJSON struct {
	Name        string              `json:"name"`
	Products    map[Store][]string  `json:"products"`
	Accesses    []packageAccessJSON `json:"accesses,omitempty"`
	Items       []packageItemJSON   `json:"items,omitempty"`
	Credits     Amounts             `json:"credits,omitempty"`
	Consumable  bool                `json:"consumable"`
	FamilyShare bool                `json:"family_share"`
	TrialItems  bool                `json:"trial_items"`
}

type packageAccessJSON struct {
	Module string `json:"module"`
	Lasts  string `json:"lasts"`
}

type packageItemJSON struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

// packagesJSON returns the stored form; nil for none, so that a catalogue without
// packages is the version it was before there were any.
func packagesJSON(packages map[string]Package) map[string]packageJSON {
	if len(packages) == 0 {
		return nil
	}
	out := make(map[string]packageJSON, len(packages))
	for id, p := range packages {
		stored := packageJSON{
			Name: p.Name, Products: make(map[Store][]string, len(p.Products)), Credits: p.Credits,
			Consumable: p.Consumable, FamilyShare: p.FamilyShare, TrialItems: p.TrialItems,
		}
		for store, products := range p.Products {
			stored.Products[store] = slices.Sorted(slices.Values(products)) // their order means nothing
		}
		for _, a := range p.Accesses {
			stored.Accesses = append(stored.Accesses, packageAccessJSON{a.Module, a.Lasts.String()})
		}
		for _, it := range p.Items {
			stored.Items = append(stored.Items, packageItemJSON(it))
		}
		out[id] = stored
	}
	return out
}

func packagesFromJSON(stored map[string]packageJSON) (map[string]Package, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	out := make(map[string]Package, len(stored))
	for id, s := range stored {
		p := Package{
			ID: id, Name: s.Name, Products: s.Products, Credits: s.Credits,
			Consumable: s.Consumable, FamilyShare: s.FamilyShare, TrialItems: s.TrialItems,
		}
		for _, a := range s.Accesses {
			lasts, err := ParseLasts(a.Lasts)
			if err != nil {
				return nil, fmt.Errorf("package %q: module %q: %w", id, a.Module, err)
			}
			p.Accesses = append(p.Accesses, PackageAccess{a.Module, lasts})
		}
		for _, it := range s.Items {
			p.Items = append(p.Items, PackageItem(it))
		}
		out[id] = p
	}
	return out, nil
}
