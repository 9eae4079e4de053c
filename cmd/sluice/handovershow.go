package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// handoverShowCommand shows what waits.
type handoverShowCommand struct {
	Endpoint string `arg:"" optional:"" help:"List the spends that wait for this endpoint, oldest first."`
	JSON     bool   `help:"Print JSON." name:"json"`
}

// Run prints one line per endpoint that is set or waited for, or one per spend.
func (c handoverShowCommand) Run(ctx context.Context, io stdio) error {
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	b, catalogs := books.New(db), books.NewCatalogs(db)
	if c.Endpoint != "" {
		return c.spends(ctx, io, b, catalogs)
	}
	list, err := waitingFor(ctx, b, catalogs, endpointNames(cfg.HandOver), time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, map[string]any{"endpoints": list})
	}
	w := table(io, "ENDPOINT\tCHARGED\tREFUNDING\tOLDEST\t")
	for _, e := range list {
		note := ""
		if !e.Set {
			note = "not in the settings"
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", e.Endpoint, e.Charged, e.Refunding, e.Oldest.Round(time.Second), note)
	}
	return w.Flush()
}

// spends lists what waits for one endpoint.
func (c handoverShowCommand) spends(ctx context.Context, io stdio, b *books.Books, catalogs *books.Catalogs) error {
	items, err := b.Undelivered(ctx)
	if err != nil {
		return err
	}
	var unread error
	items = slices.DeleteFunc(items, func(u books.Undelivered) bool {
		catalog, err := catalogs.Catalog(ctx, u.CatalogVersion)
		if err != nil {
			unread = err
		}
		how := catalog.Items[u.Item].HandOver
		return how.Port != economy.HandOverHTTP || how.Endpoint != c.Endpoint
	})
	if unread != nil {
		return unread
	}
	list, err := b.UndeliveredOf(ctx, items, attentionMax)
	if err != nil {
		return err
	}
	if c.JSON {
		spends := make([]map[string]any, len(list))
		for i, spend := range list {
			spends[i] = spendJSON(spend)
		}
		return printJSON(io, map[string]any{"spends": spends})
	}
	w := table(io, "SPEND\tSTATE\tITEM\tCOST\tCHARGED")
	for _, s := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d x %s\t%s\t%s\n", s.ID, s.State, s.Quantity, s.Item, s.Cost, s.ChargedAt.UTC().Format(time.RFC3339))
	}
	if len(list) == attentionMax {
		_, _ = fmt.Fprintf(io.Err, "sluice: these are the oldest %d; there may be more\n", attentionMax)
	}
	return w.Flush()
}
