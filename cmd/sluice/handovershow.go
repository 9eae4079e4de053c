package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// handoverShowCommand shows what waits.
type handoverShowCommand struct {
	Endpoint string `arg:"" optional:"" help:"List the spends that wait for this endpoint, oldest first."`
	JSON     bool   `help:"Print JSON." name:"json"`
}

// Help says what the columns mean.
func (handoverShowCommand) Help() string {
	return `  CHARGED    spends whose item the endpoint owes
  REFUNDING  spends whose item it is to take back
  OLDEST     how long the first of them has waited
  CIRCUIT    closed: it is asked. open: it failed ten times in a row, and only one request is
             tried now and then, for all. half-open: that one may be sent now, or is under way
  FAILING    since when its requests fail one after the other; nothing: it answers

Of one endpoint, per spend: failed attempts, as far as they were written down (those of the
last seconds are in the broker), when it is tried next, and what the last attempt heard.`
}

// Run prints one line per endpoint that is set or waited for, or one per spend.
func (c handoverShowCommand) Run(ctx context.Context, io stdio) error {
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	list, err := monitor.New(db, nil, endpointNames(cfg.HandOver)...).Endpoints(ctx)
	if err != nil {
		return databaseError(cfg, err)
	}
	if c.Endpoint == "" && c.JSON {
		return printJSON(io, map[string]any{"endpoints": list})
	}
	if c.Endpoint == "" {
		return printEndpoints(io, list)
	}
	list = slices.DeleteFunc(list, func(e monitor.Endpoint) bool { return e.Name != c.Endpoint })
	spends, err := books.New(db).UndeliveredAt(ctx, books.NewCatalogs(db), c.Endpoint, attentionMax)
	if err != nil {
		return databaseError(cfg, err)
	}
	if c.JSON {
		return printJSON(io, map[string]any{"endpoints": list, "spends": undeliveredJSON(spends)})
	}
	return printUndelivered(io, list, spends)
}

// printEndpoints prints the table, and below what each heard last.
func printEndpoints(io stdio, list []monitor.Endpoint) error {
	w := table(io, "ENDPOINT\tCHARGED\tREFUNDING\tOLDEST\tCIRCUIT\tFAILING\tNEXT TRY\t")
	for _, e := range list {
		note, failing, next := "", "", ""
		if !e.Set {
			note = "not in the settings"
		}
		if e.TroubleAge > 0 {
			failing = fmt.Sprintf("%s, %d in a row", monitor.Took(time.Duration(e.TroubleAge)), e.Failures)
		}
		if e.Circuit != budget.CircuitClosed {
			next = "in " + monitor.Took(time.Duration(e.ProbeIn))
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Charged, e.Refunding, time.Duration(e.OldestAge).Round(time.Second), e.Circuit, failing, next, note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, e := range list {
		if e.LastError != "" {
			_, _ = fmt.Fprintf(io.Out, "\n%s said last: %s\n", e.Name, e.LastError)
		}
	}
	return nil
}

// printUndelivered prints the spends that wait for one endpoint.
func printUndelivered(io stdio, list []monitor.Endpoint, spends []books.UndeliveredSpend) error {
	for _, e := range list {
		if e.Down() || e.Failures > 0 {
			_, _ = fmt.Fprintf(io.Out, "%s has failed for %s, %s in a row; its circuit is %s. It said last: %s\n\n",
				e.Name, monitor.Took(time.Duration(e.TroubleAge)), plural(e.Failures, "request", "requests"), e.Circuit, e.LastError)
		}
	}
	w := table(io, "SPEND\tSTATE\tITEM\tCOST\tWAITS SINCE\tFAILED\tNEXT TRY\tLAST ERROR")
	for _, s := range spends {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d x %s\t%s\t%s\t%d\t%s\t%s\n", s.ID, s.State, s.Quantity, s.Item, s.Cost, stamp(s.Since), s.Attempts, nextTry(s), short(s.LastError))
	}
	if len(spends) == attentionMax {
		_, _ = fmt.Fprintf(io.Err, "sluice: these are the oldest %d; there may be more\n", attentionMax)
	}
	return w.Flush()
}

// nextTry says when a spend is tried again.
func nextTry(s books.UndeliveredSpend) string {
	switch {
	case s.Held:
		return "held"
	case !s.Owed:
		return "never: set aside"
	case s.NextAt.IsZero():
		return "now"
	}
	return stamp(s.NextAt)
}

func undeliveredJSON(list []books.UndeliveredSpend) []map[string]any {
	spends := make([]map[string]any, len(list))
	for i, s := range list {
		out := spendJSON(s.Spend)
		out["waits_since"], out["failed_attempts"], out["owed"] = s.Since.UTC(), s.Attempts, s.Owed
		if !s.NextAt.IsZero() {
			out["next_try_at"] = s.NextAt.UTC()
		}
		if s.LastError != "" {
			out["last_error"] = s.LastError
		}
		spends[i] = out
	}
	return spends
}
