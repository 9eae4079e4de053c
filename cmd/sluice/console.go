package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/console"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// console adds the console to a mux. It takes the points of its plots until stop is
// called; leave ends what goes on for as long as browsers look.
func (p *process) console(ctx context.Context, mux *http.ServeMux, catalog func() economy.Catalog) (leave, stop func()) {
	var names, lanes []string
	for _, spec := range specs {
		names = append(names, spec.Name)
		for _, lane := range spec.Lanes {
			lanes = append(lanes, string(lane))
		}
	}
	c := console.New(console.Config{
		Consumers: names, Lanes: lanes,
		DB: p.db, Books: p.books, Purchases: purchases.NewStore(p.db), Backfills: backfill.Runs{DB: p.db}, Monitor: p.monitor, Operations: p.desk(),
		Keys: consoleKeys(p.config.Keys.Admin), Catalog: catalog, Settings: p.settings, TraceLink: p.config.TraceLink, Now: clock, Log: p.log,
	})
	c.Routes(mux)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	return c.Leave, func() { cancel(); running.Wait() }
}

func consoleKeys(keys []config.AdminKey) []console.Key {
	roles := map[config.AdminRole]console.Role{config.Viewer: console.Viewer, config.Support: console.Support, config.Operator: console.Operator}
	list := make([]console.Key, len(keys))
	for i, key := range keys {
		list[i] = console.Key{Role: roles[key.Role], Key: key.Key.Reveal()}
	}
	return list
}

// settings are those in effect, secrets masked.
func (p *process) settings() []console.Setting {
	docs := map[string]string{}
	for _, v := range config.Variables() {
		docs[v.Name] = v.Doc
	}
	redacted := p.config.Redacted()
	list := make([]console.Setting, len(redacted))
	for i, s := range redacted {
		list[i] = console.Setting{Variable: s.Variable, Value: s.Value, Doc: docs[s.Variable], Default: s.Default}
	}
	return list
}
