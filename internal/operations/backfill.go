package operations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// The deeds on backfills.
const (
	DeedPauseBackfill  Deed = "backfill.pause"
	DeedResumeBackfill Deed = "backfill.resume"
	DeedCancelBackfill Deed = "backfill.cancel"
)

// MoveBackfill has a backfill wait, go on or end for good: its process asks before
// each commit. Errors: ErrNotFound; *InputError; *RefusedError when it is finished, or
// so already.
func (d *Desk) MoveBackfill(ctx context.Context, who Who, reason string, deed Deed, runID string) error {
	if err := told(who, reason); err != nil {
		return err
	}
	to, known := map[Deed]string{DeedPauseBackfill: "paused", DeedResumeBackfill: "running", DeedCancelBackfill: "cancelled"}[deed]
	if !known || !isUUID(runID) {
		return fmt.Errorf("backfill %q: %w", runID, ErrNotFound)
	}
	var state string
	switch err := d.DB.GetContext(ctx, &state, "SELECT state FROM backfill_runs WHERE id = $1", runID); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("backfill %s: %w", runID, ErrNotFound)
	case err != nil:
		return fmt.Errorf("read backfill %s: %w", runID, err)
	}
	act := d.act(who, reason, deed, runID, "", what{"state": state}, what{"state": to})
	guard := backfillMove{runID: runID, from: state, to: to, by: who.Name, reason: reason, actID: act.ID, at: act.At}
	if to == "running" {
		guard.reason = "" // nothing waits any more
	}
	result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: guard, Rows: []outbox.Row{act}})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", deed, runID, err)
	}
	if result != outbox.Applied {
		return refused("the backfill is %s: it cannot become %s", state, to)
	}
	return nil
}

// backfillMove is the guard of an act on a backfill: it is in the state that was seen,
// not finished, and becomes another. Results: Applied, Stale.
type backfillMove struct {
	runID, from, to, by, reason, actID string
	at                                 time.Time
}

var backfillMoveKind = &outbox.Kind{
	Name: "operator_backfill",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "was", Type: "text"}, {Name: "state", Type: "text"}, {Name: "who", Type: "text"},
		{Name: "reason", Type: "text"}, {Name: "act_id", Type: "uuid"}, {Name: "at", Type: "timestamptz"},
	},
	Steps: []outbox.Step{{Name: "update", SQL: `UPDATE backfill_runs b SET state = r.state, changed_by = r.who, reason = r.reason, touched_at = r.at,
			finished_at = CASE WHEN r.state = 'cancelled' THEN r.at END
		FROM {rows} r WHERE b.id = r.id AND b.finished_at IS NULL AND b.state = r.was AND r.state <> r.was RETURNING r.effect`}},
	Judge: judgeActs,
}

// Kind implements outbox.Row.
func (b backfillMove) Kind() *outbox.Kind { return backfillMoveKind }

// AppendTo implements outbox.Row.
func (b backfillMove) AppendTo(c *outbox.Columns, _ string) {
	c.Text(b.runID)
	c.Text(b.from)
	c.Text(b.to)
	c.Text(b.by)
	c.Text(b.reason)
	c.Text(b.actID)
	c.Time(b.at)
}

// GuardKey implements outbox.GuardRow.
func (b backfillMove) GuardKey() string { return "backfill:" + b.runID }
