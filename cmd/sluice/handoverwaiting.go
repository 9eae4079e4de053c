package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// waiting is what waits for an endpoint.
type waiting struct {
	Endpoint  string        `json:"endpoint"`
	Charged   int64         `json:"charged"`   // spends whose item is owed
	Refunding int64         `json:"refunding"` // spends whose item is to be taken back, before the cost is
	Oldest    time.Duration `json:"-"`         // since the charge
	OldestS   float64       `json:"oldest_seconds"`
	Set       bool          `json:"set"` // the settings have it
}

// waitingFor counts what waits for each endpoint that is set or waited for, sorted.
func waitingFor(ctx context.Context, b *books.Books, catalogs *books.Catalogs, names []string, now time.Time) ([]waiting, error) {
	byName := map[string]*waiting{}
	for _, name := range names {
		byName[name] = &waiting{Endpoint: name, Set: true}
	}
	list, err := b.Undelivered(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range list {
		catalog, err := catalogs.Catalog(ctx, u.CatalogVersion)
		if err != nil {
			return nil, err
		}
		how := catalog.Items[u.Item].HandOver
		if how.Port != economy.HandOverHTTP {
			continue
		}
		w := byName[how.Endpoint]
		if w == nil {
			w = &waiting{Endpoint: how.Endpoint}
			byName[how.Endpoint] = w
		}
		if u.State == economy.Charged {
			w.Charged += u.Spends
		} else {
			w.Refunding += u.Spends
		}
		w.Oldest = max(w.Oldest, now.Sub(u.Oldest))
		w.OldestS = w.Oldest.Seconds()
	}
	out := make([]waiting, 0, len(byName))
	for _, w := range byName {
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b waiting) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return out, nil
}
