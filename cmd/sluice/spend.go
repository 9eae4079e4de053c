package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

// spendCommand groups what looks at spends.
type spendCommand struct {
	Show   spendShowCommand   `cmd:"" help:"Show everything that is known of a spend, or the spends that need somebody."`
	Settle spendSettleCommand `cmd:"" help:"Settle a spend whose charge or refund has an unknown outcome, by an operator's word."`

	Cancel   spendCancelCommand   `cmd:"" help:"Decline a spend that is not charged yet."`
	Hold     spendHoldCommand     `cmd:"" help:"Keep a spend from being called for."`
	Release  spendReleaseCommand  `cmd:"" help:"End a hold."`
	Refund   spendRefundCommand   `cmd:"" help:"Take a fulfilled spend back: its item first, then its cost is given back."`
	Requests spendRequestsCommand `cmd:"" help:"List refunds that need a second person."`
	Approve  spendApproveCommand  `cmd:"" help:"Make a refund that somebody else asked for."`
	Refuse   spendRefuseCommand   `cmd:"" help:"End the request for a refund without one."`
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
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return databaseError(cfg, c.show(ctx, io, db))
}

func (c spendShowCommand) show(ctx context.Context, io stdio, db *sqlx.DB) error {
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
	acts, err := readingDesk(db).Acts(ctx, operations.ActFilter{Subject: story.Spend.ID})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, storyJSON(story, refusal, acts))
	}
	return printStory(io, story, refusal, acts)
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
	for name, value := range map[string]string{"reason": string(s.Reason), "needs_operator": s.NeedsOperator, "adjustment_id": s.AdjustmentID, "note": s.Note} {
		if value != "" {
			out[name] = value
		}
	}
	for name, at := range map[string]time.Time{
		"charged_at": s.ChargedAt, "finished_at": s.FinishedAt, "unknown_since": s.UnknownSince, "revoked_at": s.RevokedAt,
	} {
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
