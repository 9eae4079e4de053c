package console

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

// moment is something that happened, or is about to.
type moment struct {
	At    time.Time
	Tone  string
	Title string
	Facts []fact
}

// fact is one line below it.
type fact struct {
	Name, Text, Href string
	JSON             string // shown behind a click
}

// timeline tells a spend from the request to its end.
func (c *Console) timeline(ctx context.Context, story books.Story) ([]moment, error) {
	s := story.Spend
	list := []moment{acceptedMoment(s, story.RequestID)}
	for _, a := range story.Adjustments {
		if a.Purpose == "refund" {
			list = append(list, refundingMoment(s, a.OpenedAt))
		}
		list = append(list, adjustmentMoments(a, c.now())...)
	}
	list = append(list, ledgerMoments(s, story.Entries)...)
	handed, err := c.handOverMoments(ctx, s)
	if err != nil {
		return nil, err
	}
	list = append(list, handed...)
	for _, d := range story.Owed {
		list = append(list, moment{d.At, "working", "Delivery owed to " + d.Consumer, compact(
			fact{Name: "Message", Text: d.EventID}, fact{Name: "Attempts", Text: number(d.Attempts)}, fact{Name: "Last error", Text: d.LastError})})
	}
	failures, err := c.failuresOf(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	list = append(list, failures...)
	letters, err := c.lettersOf(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	list = append(list, letters...)
	acts, err := c.Operations.Acts(ctx, operations.ActFilter{Subject: s.ID})
	if err != nil {
		return nil, err
	}
	for _, act := range acts {
		list = append(list, moment{act.At, "quiet", "Operator: " + deedWords(act.Deed), []fact{{Name: "Who", Text: act.Who + ", " + act.Login}, {Name: "Why", Text: act.Reason}}})
	}
	if !s.RevokedAt.IsZero() {
		list = append(list, moment{s.RevokedAt, "quiet", "Item revoked", []fact{{Text: "The player does not have it and never will."}}})
	}
	if s.State.Final() {
		list = append(list, moment{s.FinishedAt, tone(s.State), strings.ToUpper(string(s.State)[:1]) + string(s.State)[1:], compact(
			fact{Name: "Reason", Text: strings.ReplaceAll(string(s.Reason), "_", " ")}, fact{Name: "Took", Text: took(s.FinishedAt.Sub(s.AcceptedAt))})})
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.At.Compare(b.At) })
	return list, nil
}

// acceptedMoment tells of the request.
func acceptedMoment(s economy.Spend, requestID string) moment {
	call, gives := "POST /spend, or an entry of POST /spends/batch", []fact{{Name: "Asks for", Text: number(s.Quantity) + " × " + s.Item}, {Name: "Price", Text: amountsOf(s.Cost) + ", catalogue version " + number(s.CatalogVersion)}}
	if s.Kind == economy.KindGrant {
		call, gives = "POST /grants", []fact{{Name: "Gives", Text: amountsOf(s.Cost)}, {Name: "Why", Text: s.Note}}
	}
	facts := append(compact(fact{Name: "Request", Text: call}, fact{Name: "Request id", Text: requestID}, fact{Name: "Key", Text: s.IdempotencyKey}), gives...)
	return moment{s.AcceptedAt, "good", "Accepted", append(facts, fact{Name: "Message", Text: events.EventID(events.SpendRequestedV1, s.ID) + " to adjust"})}
}

// refundingMoment tells that the cost is owed back. When that was decided is not kept:
// it is shown as of the first call that gives it back.
func refundingMoment(s economy.Spend, at time.Time) moment {
	return moment{at, "bad", "The cost is to be given back", compact(
		fact{Name: "Reason", Text: strings.ReplaceAll(string(s.Reason), "_", " ")}, fact{Name: "Told", Text: s.Note},
		fact{Name: "Message", Text: events.EventID(events.SpendRefundingV1, s.ID) + " to compensate"})}
}

// adjustmentMoments tell of a call to the provider, its attempts included.
func adjustmentMoments(a books.StoryAdjustment, now time.Time) []moment {
	list := []moment{{a.OpenedAt, "good", "Bound to a call to the provider: " + a.Purpose, compact(
		fact{Name: "Changes", Text: signed(a.Deltas)}, fact{Name: "Call key", Text: a.IdempotencyKey}, fact{Name: "Adjustment", Text: a.ID})}}
	if a.UnknownSince != nil {
		list = append(list, moment{*a.UnknownSince, "bad", "An attempt went unanswered", []fact{{Text: "Whether the provider applied it was not known from here on. The same key is asked again until it is."}}})
	}
	attempts := fact{Name: "Attempts", Text: number(a.Attempts)}
	if last := a.LastAttemptAt; last != nil && (a.SettledAt == nil || last.Before(*a.SettledAt)) {
		list = append(list, moment{*last, "working", fmt.Sprintf("Attempt %d ended without a definite answer", a.Attempt), compact(fact{Name: "Heard", Text: a.LastError})})
	}
	switch {
	case a.SettledAt != nil:
		list = append(list, moment{*a.SettledAt, tone(a.State), "Provider: " + a.State, compact(attempts, fact{Name: "Last heard", Text: a.LastError})})
	case a.LeasedUntil != nil && a.LeasedUntil.After(now):
		list = append(list, moment{now, "working", fmt.Sprintf("Attempt %d is under way", a.Attempts), []fact{{Text: "Nobody else asks before " + a.LeasedUntil.UTC().Format(time.RFC3339) + "."}}})
	case a.LeasedUntil != nil:
		list = append(list, moment{*a.LeasedUntil, "working", fmt.Sprintf("Nobody recorded what came of attempt %d", a.Attempts), nil})
	default:
		list = append(list, moment{now, "working", "The call is still open", []fact{attempts}})
	}
	return list
}

// ledgerMoments tell of the ledger lines, those of one moment and kind together, and
// of the message that their commit sent on.
func ledgerMoments(s economy.Spend, entries []books.StoryEntry) []moment {
	titles := map[string]string{
		"charge": "Charged", "fulfil": "Item handed over", "refund": "Cost given back", "reclaim": "Taken back from fulfilled", "keep": "Refund given up, the item stays", "grant": "Currency given",
	}
	sends := map[string]string{"charge": events.EventID(events.SpendChargedV1, s.ID) + " to fulfil"}
	var list []moment
	for _, e := range entries {
		line := fact{Name: "Ledger", Text: fmt.Sprintf("%s %s from %s to %s", number(e.Amount), e.Currency, e.Debit, e.Credit)}
		if n := len(list); n > 0 && list[n-1].Title == titles[e.Kind] && list[n-1].At.Equal(e.EnteredAt) {
			list[n-1].Facts = slices.Insert(list[n-1].Facts, 0, line)
			continue
		}
		list = append(list, moment{e.EnteredAt, "good", titles[e.Kind], compact(line, fact{Name: "Message", Text: sends[e.Kind]})})
	}
	return list
}

// handOverMoments tell of the item.
func (c *Console) handOverMoments(ctx context.Context, s economy.Spend) ([]moment, error) {
	if s.Kind == economy.KindGrant {
		return nil, nil
	}
	var list []moment
	var grants []struct {
		Quantity int64      `db:"quantity"`
		Granted  time.Time  `db:"granted_at"`
		Revoked  *time.Time `db:"revoked_at"`
	}
	if err := c.db.SelectContext(ctx, &grants, "SELECT quantity, granted_at, revoked_at FROM inventory_grants WHERE spend_id = $1", s.ID); err != nil {
		return nil, fmt.Errorf("read hand-over of %s: %w", s.ID, err)
	}
	for _, g := range grants {
		list = append(list, moment{g.Granted, "good", "In the player's inventory", []fact{{Text: number(g.Quantity) + " × " + s.Item}}})
		if g.Revoked != nil {
			list = append(list, moment{*g.Revoked, "quiet", "Taken out of the inventory", nil})
		}
	}
	if s.Note != "" && s.State == economy.Fulfilled {
		at := s.FinishedAt
		list = append(list, moment{at, "quiet", "What the hand-over told", []fact{{Text: s.Note}}})
	}
	return list, nil
}

// failuresOf tell of the failed attempts at deliveries that are still owed, as far as
// they were written down.
func (c *Console) failuresOf(ctx context.Context, spendID string) ([]moment, error) {
	var rows []struct {
		Consumer string `db:"consumer"`
		Failures []byte `db:"failures"`
	}
	if err := c.db.SelectContext(ctx, &rows, `SELECT consumer, failures FROM outbox
		WHERE event_id IN ($1::text || '.requested', $1::text || '.charged', $1::text || '.refunding')`, spendID); err != nil {
		return nil, fmt.Errorf("read attempts of %s: %w", spendID, err)
	}
	var list []moment
	for _, row := range rows {
		var failures []operations.Failure
		if err := json.Unmarshal(row.Failures, &failures); err != nil {
			return nil, fmt.Errorf("read attempts of %s: %w", spendID, err)
		}
		for _, f := range failures {
			list = append(list, moment{f.At, "working", fmt.Sprintf("Attempt %d of %s failed", f.Attempt, row.Consumer), []fact{{Name: "Error", Text: f.Error}}})
		}
	}
	return list, nil
}

// lettersOf tell of a spend's deliveries that were set aside.
func (c *Console) lettersOf(ctx context.Context, spendID string) ([]moment, error) {
	var rows []struct {
		EventID    string     `db:"event_id"`
		Consumer   string     `db:"consumer"`
		DiedAt     time.Time  `db:"died_at"`
		ResolvedAt *time.Time `db:"resolved_at"`
		Attempts   int64      `db:"attempts"`
		Error      string     `db:"error"`
	}
	if err := c.db.SelectContext(ctx, &rows, `SELECT event_id, consumer, died_at, resolved_at, attempts, error FROM dead_letters
		WHERE event_id IN ($1::text || '.requested', $1::text || '.charged', $1::text || '.refunding')`, spendID); err != nil {
		return nil, fmt.Errorf("read dead letters of %s: %w", spendID, err)
	}
	var list []moment
	for _, r := range rows {
		tone, title := "bad", "Dead letter of "+r.Consumer
		if r.ResolvedAt != nil {
			tone, title = "quiet", title+", dealt with since"
		}
		list = append(list, moment{r.DiedAt, tone, title, []fact{
			{Name: "Message", Text: r.EventID, Href: letterHref(operations.LetterKey{EventID: r.EventID, Consumer: r.Consumer})},
			{Name: "Attempts", Text: number(r.Attempts)}, {Name: "Error", Text: r.Error},
		}})
	}
	return list, nil
}

// signed writes the changes of an adjustment, such as "−50 GEM".
func signed(deltas json.RawMessage) string {
	amounts, err := books.DecodeAmounts(deltas)
	if err != nil {
		return string(deltas)
	}
	return amountsOf(amounts)
}

// compact drops the facts that say nothing.
func compact(facts ...fact) []fact {
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Text == "" })
}

// deedWords writes a deed as people say it.
func deedWords(deed operations.Deed) string {
	return strings.NewReplacer(".", " ", "deadletter", "dead letter", "_", " ").Replace(string(deed))
}
