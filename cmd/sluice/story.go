package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

func storyJSON(story books.Story, refusal string, acts []operations.Act) map[string]any {
	out := map[string]any{
		"spend": spendJSON(story.Spend), "adjustments": story.Adjustments, "ledger": story.Entries,
		"request_id": story.RequestID, "owed": story.Owed, "dead_letters": story.DeadLetters, "acts": acts,
	}
	if refusal != "" {
		out["hand_over_refused"] = refusal
	}
	return out
}

func printStory(io stdio, story books.Story, refusal string, acts []operations.Act) error {
	s := story.Spend
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	var t tale
	_, _ = fmt.Fprintf(w, "%s %s\t%s\nplayer\t%s\n", s.Kind, s.ID, standing(s), s.AppUserID)
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
	if s.Kind == economy.KindSpend && s.Note != "" {
		_, _ = fmt.Fprintf(w, "hand-over\t%s\n", s.Note)
	}
	_, _ = fmt.Fprintln(w)
	accepted := "accepted"
	if story.RequestID != "" {
		accepted += ", request_id " + story.RequestID // as the log of serve has it
	}
	t.line(s.AcceptedAt, "%s", accepted)
	for _, a := range story.Adjustments {
		t.adjustment(a, time.Now())
	}
	for _, e := range story.Entries {
		t.line(e.EnteredAt, "ledger: %s %d %s from %s to %s", e.Kind, e.Amount, e.Currency, e.Debit, e.Credit)
	}
	for _, d := range story.Owed {
		failed := ""
		if d.Attempts > 0 {
			failed = fmt.Sprintf(", after %s: %s", plural(d.Attempts, "attempt", "attempts"), d.LastError)
		}
		t.line(d.At, "owed to %s: %s%s", d.Consumer, d.EventID, failed)
	}
	for _, d := range story.DeadLetters {
		t.line(d.At, "DEAD LETTER of %s: %s after %s: %s", d.Consumer, d.EventID, plural(d.Attempts, "attempt", "attempts"), d.LastError)
	}
	for _, a := range acts {
		t.line(a.At, "%s by %s: %s", a.Deed, a.Who, a.Reason)
	}
	if !s.RevokedAt.IsZero() {
		t.line(s.RevokedAt, "its item is revoked: the player does not have it and never will")
	}
	if s.State.Final() {
		t.line(s.FinishedAt, "%s", s.State)
	}
	slices.SortStableFunc(t, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range t {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", m.at.UTC().Format("2006-01-02T15:04:05.000Z"), m.what)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, a := range story.Adjustments {
		if a.Unknown() {
			printSettle(io, s.ID, &a)
		}
	}
	printDecision(io, s)
	return nil
}

// tale is what is known to have happened, and when.
type tale []moment

type moment struct {
	at   time.Time
	what string
}

func (t *tale) line(at time.Time, format string, args ...any) {
	*t = append(*t, moment{at, fmt.Sprintf(format, args...)})
}

// adjustment tells of an adjustment's attempts, those included that nobody answered.
func (t *tale) adjustment(a books.StoryAdjustment, now time.Time) {
	t.line(a.OpenedAt, "%s bound: %s under key %s, then attempt 1", a.Purpose, a.Deltas, a.IdempotencyKey)
	if a.UnknownSince != nil {
		t.line(*a.UnknownSince, "%s: an attempt went unanswered, its outcome is unknown", a.Purpose)
	}
	if last := a.LastAttemptAt; last != nil && (a.SettledAt == nil || last.Before(*a.SettledAt)) {
		t.line(*last, "%s: attempt %d ended without a definite answer: %s", a.Purpose, a.Attempts, a.LastError)
	}
	switch {
	case a.SettledAt != nil && a.LastError == "":
		t.line(*a.SettledAt, "%s %s after %s", a.Purpose, a.State, plural(a.Attempts, "attempt", "attempts"))
	case a.SettledAt != nil:
		t.line(*a.SettledAt, "%s %s after %s; last heard: %s", a.Purpose, a.State, plural(a.Attempts, "attempt", "attempts"), a.LastError)
	case a.LeasedUntil != nil && a.LeasedUntil.After(now):
		t.line(now, "%s: attempt %d is under way; nobody else asks before %s", a.Purpose, a.Attempts, a.LeasedUntil.UTC().Format(time.RFC3339))
	case a.LeasedUntil != nil:
		t.line(*a.LeasedUntil, "%s: nobody recorded what came of attempt %d", a.Purpose, a.Attempts)
	default:
		t.line(now, "%s still open after %s", a.Purpose, plural(a.Attempts, "attempt", "attempts"))
	}
}
