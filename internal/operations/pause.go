package operations

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// Scope is a sort of thing that can be paused.
type Scope string

// The scopes.
const (
	PauseConsumer Scope = "consumer" // its deliveries wait, on all its lanes
	PauseLane     Scope = "lane"     // the deliveries of a lane wait, of all consumers
	PauseItem     Scope = "item"     // no new spend of it is accepted; those that were go on
	PauseCurrency Scope = "currency" // no new spend that costs it, and no grant of it, is accepted; those that were go on
)

// Scopes lists them.
var Scopes = []Scope{PauseConsumer, PauseLane, PauseItem, PauseCurrency}

// Pause is something that is paused.
type Pause struct {
	Scope  Scope      `db:"scope" json:"scope"`
	Name   string     `db:"name" json:"name"`
	Since  time.Time  `db:"since" json:"since"`
	Until  *time.Time `db:"until" json:"until,omitempty"` // when it ends by itself, by PostgreSQL's clock; nil: by an operator only
	Who    string     `db:"who" json:"who"`
	Reason string     `db:"reason" json:"reason"`
}

// subject is what acts call it, such as item:sword.
func (p Pause) subject() string { return string(p.Scope) + ":" + p.Name }

// Pauses returns what is paused, sorted by scope and name.
func (d *Desk) Pauses(ctx context.Context) ([]Pause, error) { return readPauses(ctx, d.DB) }

// Pause pauses something. All processes follow within a second. Whether there is a
// consumer, lane, item or currency of that name is the caller's to check. Errors:
// *InputError; *RefusedError when it is paused already.
func (d *Desk) Pause(ctx context.Context, who Who, reason string, scope Scope, name string) error {
	return d.PauseFor(ctx, who, reason, scope, name, 0)
}

// PauseFor is Pause for a time, after which it ends by itself; 0: for good. Errors: those
// of Pause.
func (d *Desk) PauseFor(ctx context.Context, who Who, reason string, scope Scope, name string, last time.Duration) error {
	p := Pause{Scope: scope, Name: name, Since: d.Now(), Who: who.Name, Reason: reason}
	if err := p.told(who, reason); err != nil {
		return err
	}
	after := what{"paused": true}
	switch {
	case last < 0 || last > 0 && last < time.Second:
		return badInput("pause for a second at least, or without a time")
	case last > 0:
		after["for"] = last.String()
	}
	act := d.act(who, reason, DeedPause, p.subject(), "", what{"paused": false}, after)
	return d.commitPause(ctx, pausing{p, act.ID, last, false}, act, "%s %s is paused already", scope, name)
}

// Resume ends a pause. What waited goes on within a second. Errors: *InputError;
// *RefusedError when it is not paused.
func (d *Desk) Resume(ctx context.Context, who Who, reason string, scope Scope, name string) error {
	p := Pause{Scope: scope, Name: name}
	if err := p.told(who, reason); err != nil {
		return err
	}
	list, err := d.Pauses(ctx)
	if err != nil {
		return err
	}
	before := what{"paused": true}
	for _, paused := range list {
		if paused.Scope == scope && paused.Name == name {
			before["since"], before["who"], before["reason"] = paused.Since.UTC(), paused.Who, paused.Reason
		}
	}
	act := d.act(who, reason, DeedResume, p.subject(), "", before, what{"paused": false})
	return d.commitPause(ctx, pausing{p, act.ID, 0, true}, act, "%s %s is not paused", scope, name)
}

// told checks who pauses what, and why.
func (p Pause) told(who Who, reason string) error {
	switch p.Scope {
	case PauseConsumer, PauseLane, PauseItem, PauseCurrency:
	default:
		return badInput("%q cannot be paused: there are %v", p.Scope, Scopes)
	}
	if strings.TrimSpace(p.Name) == "" {
		return badInput("say which %s", p.Scope)
	}
	return told(who, reason)
}

func (d *Desk) commitPause(ctx context.Context, guard pausing, act actRow, otherwise string, args ...any) error {
	switch result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: guard, Rows: []outbox.Row{act}}); {
	case err != nil:
		return fmt.Errorf("%s of %s: %w", act.Deed, act.Subject, err)
	case result != outbox.Applied:
		return refused(otherwise, args...)
	}
	return nil
}

// pausing is the guard that begins or ends a pause. One that has begun, or has ended,
// is stale.
type pausing struct {
	Pause
	actID string
	last  time.Duration // 0: for good
	ends  bool
}

var pauseColumns = []outbox.Column{
	{Name: "scope", Type: "text"}, {Name: "name", Type: "text"}, {Name: "since", Type: "timestamptz"},
	{Name: "who", Type: "text"}, {Name: "reason", Type: "text"}, {Name: "act_id", Type: "uuid"}, {Name: "for_ms", Type: "bigint"},
}

// judgeActs knows a commit whose answer was lost by the line it left in the audit.
const judgeActs = `SELECT r.effect, 'applied' FROM {rows} r JOIN operator_acts a ON a.id = r.act_id`

var (
	pauseKind = &outbox.Kind{
		Name:    "operator_pause",
		Columns: pauseColumns,
		Steps: []outbox.Step{
			{Name: "insert", SQL: `INSERT INTO pauses AS p (scope, name, since, who, reason, act_id, until)
				SELECT r.scope, r.name, r.since, r.who, r.reason, r.act_id, CASE WHEN r.for_ms > 0 THEN now() + r.for_ms * interval '1 millisecond' END
				FROM {rows} r ORDER BY r.scope, r.name
				ON CONFLICT (scope, name) DO UPDATE SET since = excluded.since, who = excluded.who, reason = excluded.reason, act_id = excluded.act_id,
					until = excluded.until
				WHERE p.until <= now() RETURNING act_id`},
			{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.act_id IN (SELECT act_id FROM {insert})) IS TRUE`},
		},
		Judge: judgeActs,
	}
	resumeKind = &outbox.Kind{
		Name:    "operator_resume",
		Columns: pauseColumns,
		Steps: []outbox.Step{
			{Name: "delete", SQL: `DELETE FROM pauses p USING {rows} r WHERE p.scope = r.scope AND p.name = r.name AND (p.until IS NULL OR p.until > now())
				RETURNING r.effect`},
		},
		Judge: judgeActs,
	}
)

// Kind implements outbox.Row.
func (p pausing) Kind() *outbox.Kind {
	if p.ends {
		return resumeKind
	}
	return pauseKind
}

// AppendTo implements outbox.Row.
func (p pausing) AppendTo(c *outbox.Columns, _ string) {
	c.Text(string(p.Scope))
	c.Text(p.Name)
	c.Time(p.Since)
	c.Text(p.Who)
	c.Text(p.Reason)
	c.Text(p.actID)
	c.Int(p.last.Milliseconds())
}

// GuardKey implements outbox.GuardRow.
func (p pausing) GuardKey() string { return "pause:" + p.subject() }
