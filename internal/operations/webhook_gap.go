package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// ResolveGaps marks as made up for what lies within a time, of a silence that lasts
// what is over, and returns how many gaps that were. resolution says what was done, and
// more what the act shows beside their number. A second call finds none, and is an act
// of its own.
func (d *Desk) ResolveGaps(ctx context.Context, who Who, reason string, from, until time.Time, resolution string, more map[string]any) (int64, error) {
	if err := told(who, reason); err != nil {
		return 0, err
	}
	act := d.act(who, reason, DeedResolveGaps, "webhooks", "", what{"from": from.UTC(), "until": until.UTC()}, side(more))
	if _, err := d.Committer.Commit(ctx, outbox.Effects{Guard: resolvingGaps{act, from, until, resolution}}); err != nil {
		return 0, fmt.Errorf("resolve gaps of webhooks: %w", err)
	}
	var after json.RawMessage
	if err := d.DB.GetContext(ctx, &after, "SELECT after FROM operator_acts WHERE id = $1", act.ID); err != nil {
		return 0, fmt.Errorf("count the gaps of webhooks that are resolved: %w", err)
	}
	var counted struct {
		Gaps int64 `json:"gaps_resolved"`
	}
	err := json.Unmarshal(after, &counted)
	return counted.Gaps, err
}

// resolvingGaps is the guard that resolves gaps, and counts them in the act's line. It
// always applies.
type resolvingGaps struct {
	actRow
	from, until time.Time
	resolution  string
}

var resolvingGapsKind = &outbox.Kind{
	Name: "webhook_gaps_resolved",
	Columns: append(actKind.Columns[:len(actKind.Columns):len(actKind.Columns)], outbox.Column{Name: "from_at", Type: "timestamptz"},
		outbox.Column{Name: "until_at", Type: "timestamptz"}, outbox.Column{Name: "resolution", Type: "text"}),
	Steps: []outbox.Step{
		{Name: "gaps", SQL: `UPDATE webhook_gaps g SET resolved_at = r.at, resolution = r.resolution, until_at = least(g.until_at, r.until_at) FROM {rows} r
			WHERE g.resolved_at IS NULL AND g.from_at BETWEEN r.from_at AND r.until_at AND (g.until_at <= r.until_at OR g.cause = 'silence') RETURNING r.effect`},
		{Name: "insert", SQL: `INSERT INTO operator_acts (id, at, deed, subject, app_user_id, who, login, via, reason, before, after)
			SELECT r.id, r.at, r.deed, r.subject, r.app_user_id, r.who, r.login, r.via, r.reason, r.before,
				r.after || jsonb_build_object('gaps_resolved', (SELECT count(*) FROM {gaps} g WHERE g.effect = r.effect)) FROM {rows} r ON CONFLICT DO NOTHING`},
		{Name: "effects", SQL: `SELECT effect FROM {rows}`},
	},
	Otherwise: outbox.Duplicate,
}

// Kind implements outbox.Row.
func (resolvingGaps) Kind() *outbox.Kind { return resolvingGapsKind }

// AppendTo implements outbox.Row.
func (r resolvingGaps) AppendTo(c *outbox.Columns, effect string) {
	r.actRow.AppendTo(c, effect)
	c.Time(r.from)
	c.Time(r.until)
	c.Text(r.resolution)
}

// GuardKey implements outbox.GuardRow. One after the other: each counts what it resolved.
func (resolvingGaps) GuardKey() string { return "webhook_gaps" }
