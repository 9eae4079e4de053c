package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// catalogSource holds the current version of the catalogue. A request sees one
// version from beginning to end; a reload drops none.
type catalogSource struct {
	path      string // empty: the demo catalogue
	catalogs  *books.Catalogs
	endpoints []string // of the game's own servers, as the settings name them
	log       *slog.Logger
	latest    atomic.Pointer[economy.Catalog]
}

// newCatalogSource loads the catalogue and stores it as a version.
func newCatalogSource(ctx context.Context, catalogs *books.Catalogs, path string, endpoints []string, log *slog.Logger) (*catalogSource, error) {
	source := &catalogSource{path: path, catalogs: catalogs, endpoints: endpoints, log: log}
	if err := source.load(ctx); err != nil {
		return nil, err
	}
	return source, nil
}

func (s *catalogSource) current() economy.Catalog { return *s.latest.Load() }

func (s *catalogSource) load(ctx context.Context) error {
	catalog := config.DemoCatalog()
	if s.path != "" {
		var err error
		if catalog, err = config.LoadCatalog(s.path); err != nil {
			return fmt.Errorf("catalogue:\n%w", err)
		}
	}
	stored, err := s.catalogs.Store(ctx, catalog)
	if err != nil {
		return err
	}
	stored = s.sellable(ctx, stored)
	s.latest.Store(&stored)
	return nil
}

// sellable returns the version with those items paused that nobody could hand over,
// because their endpoint is not in the settings: their buyers would wait with nothing.
func (s *catalogSource) sellable(ctx context.Context, catalog economy.Catalog) economy.Catalog {
	items := maps.Clone(catalog.Items)
	for id, item := range items {
		how := item.HandOver
		if how.Port == economy.HandOverHTTP && !slices.Contains(s.endpoints, how.Endpoint) {
			item.Paused = true
			items[id] = item
			s.log.ErrorContext(ctx, "item is not sold: SLUICE_HANDOVER_URL does not name its endpoint", "item", id, "endpoint", how.Endpoint)
		}
	}
	catalog.Items = items
	return catalog
}

// reloadOnHangup loads the catalogue again at every SIGHUP until ctx ends. One
// that is wrong is reported and the current one stays. When it returns, a SIGHUP
// no longer ends the process.
func (s *catalogSource) reloadOnHangup(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		s.reloadAt(ctx, hangups)
	}()
}

func (s *catalogSource) reloadAt(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		before := s.current().Version
		if err := s.load(ctx); err != nil {
			s.log.ErrorContext(ctx, "catalogue not reloaded, the current version stays", "version", before, "error", err)
			continue
		}
		s.log.InfoContext(ctx, "catalogue reloaded", "version_before", before, "version", s.current().Version)
	}
}
