package main

import (
	"context"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/gemstore"
)

// storeTokenTTL is how long a session of a player of the gem store is valid; the
// page asks for a new one.
const storeTokenTTL = time.Hour

// store adds the gem store to the pages of a process. It needs the simulator: where
// the settings name a provider, nothing can be bought or broken here.
func (s *devStack) store(p *process) func(context.Context, *http.ServeMux, func() economy.Catalog) error {
	if s.sim == nil {
		return nil
	}
	return func(ctx context.Context, mux *http.ServeMux, catalog func() economy.Catalog) error {
		cfg := gemstore.Config{
			DB: p.db, Stream: p.conn, Catalog: catalog, Simulator: "http://" + s.simAt, Rate: s.simRate,
			Sign:      func(player string) (string, error) { return signSession(s.config.Session, player, storeTokenTTL) },
			ServerKey: s.config.Keys.Server[0].Reveal(),
			Now:       clock, Log: s.log, Done: ctx.Done(),
		}
		if s.gameAt != "" {
			cfg.Game = "http://" + s.gameAt
		}
		store, err := gemstore.New(cfg)
		if err != nil {
			return err
		}
		store.Routes(mux)
		return nil
	}
}
