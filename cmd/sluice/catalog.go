package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// catalogSource holds the current version of the catalogue. A request sees one
// version from beginning to end; a reload drops none.
type catalogSource struct {
	path     string // empty: the demo catalogue
	catalogs *books.Catalogs
	log      *slog.Logger
	latest   atomic.Pointer[economy.Catalog]
}

// newCatalogSource loads the catalogue and stores it as a version.
func newCatalogSource(ctx context.Context, catalogs *books.Catalogs, path string, log *slog.Logger) (*catalogSource, error) {
	source := &catalogSource{path: path, catalogs: catalogs, log: log}
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
	s.latest.Store(&stored)
	return nil
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
