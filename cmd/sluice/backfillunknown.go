package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// unknownPatience bounds the count, for which somebody may wait who stopped the run. Its
// statement is bounded by less.
const unknownPatience = 40 * time.Second

// unknownShown bounds the products that are named on the screen; --json has all.
const unknownShown = 20

// unknownProducts returns what was bought that the catalogue does not have, after a
// backfill of transactions. What that brought is mostly not folded yet, so all purchases
// are read when it brought something. Before a catalogue is loaded nobody can say.
func unknownProducts(ctx context.Context, db *sqlx.DB, run backfill.Run) ([]purchases.UnknownProduct, error) {
	list := []purchases.UnknownProduct{}
	if run.Command.Feed != exports.Transactions {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unknownPatience) // also of a run that was told to stop
	defer cancel()
	store := purchases.NewStore(db)
	version, err := store.CurrentCatalog(ctx)
	if err != nil || version == 0 {
		return list, err
	}
	catalog, err := books.NewCatalogs(db).Catalog(ctx, version)
	if err != nil {
		return list, err
	}
	read := store.Unknown
	if run.Counts.New+run.Counts.Changed > 0 {
		read = store.UnknownWithUnfolded
	}
	found, err := read(ctx, catalog)
	return append(list, found...), err
}

func printUnknown(out io.Writer, list []purchases.UnknownProduct) {
	if len(list) == 0 {
		return
	}
	_, _ = fmt.Fprintln(out, "\nProducts that were bought and that the catalogue does not have; what was paid for them brings nothing until it does:")
	for _, p := range list[:min(len(list), unknownShown)] {
		_, _ = fmt.Fprintf(out, "  %s %s: %s\n", p.Store, p.Product, plural(p.Purchases, "purchase", "purchases"))
	}
	if more := len(list) - unknownShown; more > 0 {
		_, _ = fmt.Fprintf(out, "  and %d more: --json has all\n", more)
	}
}
