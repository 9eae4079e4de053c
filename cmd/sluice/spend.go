package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// spendCommand groups what looks at spends.
type spendCommand struct {
	Show   spendShowCommand   `cmd:"" help:"Show everything that is known of a spend, or the spends that need somebody."`
	Settle spendSettleCommand `cmd:"" help:"Settle a spend whose charge or refund has an unknown outcome, by an operator's word."`
}

// spendShowCommand tells a spend's story.
type spendShowCommand struct {
	ID        string `arg:"" optional:"" help:"The spend's id."`
	Attention bool   `help:"List the spends of unknown outcome, marked for an operator, or held."`
	Unknown   bool   `help:"List only the spends whose charge or refund has an unknown outcome."`
	JSON      bool   `help:"Print JSON." name:"json"`
}

// attentionMax bounds the list; the metric sluice_spends_attention counts all.
const attentionMax = 1000

// Run prints the story or the list.
func (c spendShowCommand) Run(ctx context.Context, io stdio) error {
	if listing := c.Attention || c.Unknown; (c.ID == "") != listing {
		return exitError{errors.New("name a spend's id, or use --unknown or --attention for a list"), exitBadUsage}
	}
	_, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if c.ID == "" {
		read := books.New(db).Attention
		if c.Unknown {
			read = books.New(db).Unknown
		}
		list, err := read(ctx, attentionMax)
		if err != nil {
			return err
		}
		if len(list) == attentionMax {
			_, _ = fmt.Fprintf(io.Err, "sluice: these are the oldest %d; there may be more\n", attentionMax)
		}
		return printAttention(io, list, c.JSON)
	}
	story, err := books.New(db).Story(ctx, c.ID)
	if errors.Is(err, books.ErrNotFound) {
		return fmt.Errorf("no spend has the id %q", c.ID)
	}
	if err != nil {
		return err
	}
	refusal, err := handOverRefusal(ctx, db, story.Spend)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, storyJSON(story, refusal))
	}
	return printStory(io, story, refusal)
}

// handOverRefusal says in the catalogue's words why the hand-over of a spend was
// refused; empty when it was not, or the catalogue does not say.
func handOverRefusal(ctx context.Context, db *sqlx.DB, spend economy.Spend) (string, error) {
	if spend.Reason != economy.HandOverRefused {
		return "", nil
	}
	catalog, err := books.NewCatalogs(db).Catalog(ctx, spend.CatalogVersion)
	if err != nil {
		return "", err
	}
	return catalog.Items[spend.Item].HandOver.Reason, nil
}

func printJSON(io stdio, value any) error {
	encoder := json.NewEncoder(io.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// spendJSON is a spend with its marks, for operators.
func spendJSON(s economy.Spend) map[string]any {
	out := map[string]any{
		"id": s.ID, "app_user_id": s.AppUserID, "state": s.State, "item": s.Item, "quantity": s.Quantity, "cost": s.Cost,
		"catalog_version": s.CatalogVersion, "accepted_at": s.AcceptedAt.UTC(),
	}
	for name, value := range map[string]string{"reason": string(s.Reason), "needs_operator": s.NeedsOperator, "adjustment_id": s.AdjustmentID} {
		if value != "" {
			out[name] = value
		}
	}
	for name, at := range map[string]time.Time{"charged_at": s.ChargedAt, "finished_at": s.FinishedAt, "unknown_since": s.UnknownSince} {
		if !at.IsZero() {
			out[name] = at.UTC()
		}
	}
	if s.Held {
		out["held"] = true
	}
	if s.Kind == economy.KindGrant {
		out["kind"], out["note"], out["adjustments"] = s.Kind.String(), s.Note, s.Cost
		for _, name := range []string{"item", "quantity", "cost", "catalog_version"} {
			delete(out, name)
		}
	}
	return out
}

func storyJSON(story books.Story, refusal string) map[string]any {
	out := map[string]any{
		"spend": spendJSON(story.Spend), "adjustments": story.Adjustments, "ledger": story.Entries,
		"owed": story.Owed, "dead_letters": story.DeadLetters,
	}
	if refusal != "" {
		out["hand_over_refused"] = refusal
	}
	return out
}

func printStory(io stdio, story books.Story, refusal string) error {
	s := story.Spend
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	type moment struct {
		at   time.Time
		what string
	}
	var moments []moment
	line := func(at time.Time, format string, args ...any) {
		moments = append(moments, moment{at, fmt.Sprintf(format, args...)})
	}
	_, _ = fmt.Fprintf(w, "%s %s\t%s %s\nplayer\t%s\n", s.Kind, s.ID, s.State, s.Reason, s.AppUserID)
	if s.Kind == economy.KindGrant {
		_, _ = fmt.Fprintf(w, "gives\t%s: %s\n", s.Cost, s.Note)
	} else {
		_, _ = fmt.Fprintf(w, "item\t%d x %s for %s (catalogue version %d)\n", s.Quantity, s.Item, s.Cost, s.CatalogVersion)
	}
	if s.NeedsOperator != "" {
		_, _ = fmt.Fprintf(w, "needs operator\t%s\n", s.NeedsOperator)
	}
	if refusal != "" {
		_, _ = fmt.Fprintf(w, "hand-over refused\t%s\n", refusal)
	}
	_, _ = fmt.Fprintln(w)
	line(s.AcceptedAt, "accepted")
	for _, a := range story.Adjustments {
		line(a.OpenedAt, "%s bound: %s under key %s", a.Purpose, a.Deltas, a.IdempotencyKey)
		if a.UnknownSince != nil {
			line(*a.UnknownSince, "%s went unanswered, outcome unknown since", a.Purpose)
		}
		if a.SettledAt != nil {
			line(*a.SettledAt, "%s %s after %d attempts %s", a.Purpose, a.State, a.Attempts, a.LastError)
		} else {
			line(time.Now(), "%s still open after %d attempts: %s", a.Purpose, a.Attempts, a.LastError)
		}
	}
	for _, e := range story.Entries {
		line(e.EnteredAt, "ledger: %s %d %s from %s to %s", e.Kind, e.Amount, e.Currency, e.Debit, e.Credit)
	}
	for _, d := range story.Owed {
		line(d.At, "owed to %s: %s, %d attempts before %s", d.Consumer, d.EventID, d.Attempts, d.LastError)
	}
	for _, d := range story.DeadLetters {
		line(d.At, "DEAD LETTER of %s: %s after %d attempts: %s", d.Consumer, d.EventID, d.Attempts, d.LastError)
	}
	if s.State.Final() {
		line(s.FinishedAt, "%s", s.State)
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range moments {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", m.at.UTC().Format("2006-01-02T15:04:05.000Z"), m.what)
	}
	return w.Flush()
}

func printAttention(io stdio, list []economy.Spend, asJSON bool) error {
	if asJSON {
		spends := make([]map[string]any, len(list))
		for i, spend := range list {
			spends[i] = spendJSON(spend)
		}
		return printJSON(io, map[string]any{"spends": spends})
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SPEND\tSTATE\tCOST\tACCEPTED\tWHY")
	for _, s := range list {
		why := s.NeedsOperator
		switch {
		case why != "":
		case s.Held:
			why = "held by an operator"
		default:
			why = "outcome unknown since " + s.UnknownSince.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.State, s.Cost, s.AcceptedAt.UTC().Format(time.RFC3339), why)
	}
	return w.Flush()
}
