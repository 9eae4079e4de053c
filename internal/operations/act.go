package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Deed names what was done.
type Deed string

// The deeds.
const (
	DeedRetryLetter   Deed = "deadletter.retry"
	DeedEditLetter    Deed = "deadletter.edit" // and retried
	DeedResolveLetter Deed = "deadletter.resolve"

	DeedPause  Deed = "pause"
	DeedResume Deed = "resume"

	DeedHold           Deed = "spend.hold"
	DeedRelease        Deed = "spend.release"
	DeedCancel         Deed = "spend.cancel"
	DeedAskRefund      Deed = "spend.refund.ask" // a second person is to approve
	DeedRefuseRefund   Deed = "spend.refund.refuse"
	DeedRefund         Deed = "spend.refund"
	DeedRefundAgain    Deed = "spend.refund.again"
	DeedGiveUpRefund   Deed = "spend.refund.giveup"
	DeedSettleSpend    Deed = "spend.settle"
	DeedSettleHandOver Deed = "handover.settle"

	DeedReplayWebhooks Deed = "webhooks.replay"
	DeedResyncWebhooks Deed = "webhooks.resync"
	DeedResolveGaps    Deed = "webhooks.resolve" // made up for, by the resync before it
	DeedExportWebhooks Deed = "webhooks.export"
	DeedResync         Deed = "customer.resync"
)

// Act is one line of the audit. It is never changed.
type Act struct {
	ID      string          `db:"id" json:"id"` // UUIDv7: in the order of acting
	At      time.Time       `db:"at" json:"at"`
	Deed    Deed            `db:"deed" json:"deed"`
	Subject string          `db:"subject" json:"subject"`                   // what it was done to: a spend's id, event id/consumer, consumer:adjust, item:sword
	Player  string          `db:"app_user_id" json:"app_user_id,omitempty"` // whose it is; empty: nobody's
	Who     string          `db:"who" json:"who"`                           // Who.Name
	Login   string          `db:"login" json:"login"`                       // Who.Login, or the name again
	Via     Via             `db:"via" json:"via"`                           //
	Reason  string          `db:"reason" json:"reason"`                     // in the operator's words
	Before  json.RawMessage `db:"before" json:"before"`                     // what the act changed, as it was: an object
	After   json.RawMessage `db:"after" json:"after"`                       // and as it is since
}

// actRow writes an act beside the guard of what it does.
type actRow struct{ Act }

var actKind = &outbox.Kind{
	Name: "operator_act",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "at", Type: "timestamptz"}, {Name: "deed", Type: "text"}, {Name: "subject", Type: "text"},
		{Name: "app_user_id", Type: "text"}, {Name: "who", Type: "text"}, {Name: "login", Type: "text"}, {Name: "via", Type: "text"},
		{Name: "reason", Type: "text"}, {Name: "before", Type: "jsonb"}, {Name: "after", Type: "jsonb"},
	},
	Steps: []outbox.Step{{Name: "insert", SQL: `INSERT INTO operator_acts (id, at, deed, subject, app_user_id, who, login, via, reason, before, after)
		SELECT r.id, r.at, r.deed, r.subject, r.app_user_id, r.who, r.login, r.via, r.reason, r.before, r.after FROM {rows} r`}},
}

// Kind implements outbox.Row.
func (a actRow) Kind() *outbox.Kind { return actKind }

// AppendTo implements outbox.Row.
func (a actRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(a.ID)
	c.Time(a.At)
	c.Text(string(a.Deed))
	c.Text(a.Subject)
	c.Text(a.Player)
	c.Text(a.Who)
	c.Text(a.Login)
	c.Text(string(a.Via))
	c.Text(a.Reason)
	c.JSON(a.Before)
	c.JSON(a.After)
}

// what is a side of an act: a few named values.
type what map[string]any

// act returns the line of an act that is about to be committed.
func (d *Desk) act(who Who, reason string, deed Deed, subject, player string, before, after any) actRow {
	return actRow{Act{
		ID: d.NewID(), At: d.Now(), Deed: deed, Subject: subject, Player: player,
		Who: who.Name, Login: who.login(), Via: who.Via, Reason: reason, Before: encoded(before), After: encoded(after),
	}}
}

func encoded(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil { // maps and structs of text, numbers and times always encode
		panic(err)
	}
	return raw
}

// spendSide is what an act shows of a spend.
func spendSide(s economy.Spend) what {
	side := what{"state": s.State, "cost": s.Cost}
	for name, value := range map[string]string{"reason": string(s.Reason), "needs_operator": s.NeedsOperator} {
		if value != "" {
			side[name] = value
		}
	}
	if s.Held {
		side["held"] = true
	}
	if !s.RevokedAt.IsZero() {
		side["revoked_at"] = s.RevokedAt.UTC()
	}
	return side
}

// Auditing returns the desk's committer, made to write the line of a deed on a spend
// with every commit. What is after is what the commit makes of the spend, as its
// notices tell, or as after says where it gives none (nil: not known). Other spends
// that the same commit settles are told of in the same line.
func (d *Desk) Auditing(who Who, reason string, deed Deed, spend economy.Spend, after func() economy.Spend) Committer {
	return auditing{d, func(effects outbox.Effects) actRow {
		side := what{}
		if after != nil {
			side = spendSide(after())
		}
		together := what{}
		for _, notice := range effects.Notices {
			if notice.Spend.ID == spend.ID {
				side = spendSide(notice.Spend)
			} else {
				together[notice.Spend.ID] = spendSide(notice.Spend)
			}
		}
		if len(together) > 0 {
			side["together_with"] = together
		}
		return d.act(who, reason, deed, spend.ID, spend.AppUserID, spendSide(spend), side)
	}}
}

type auditing struct {
	desk *Desk
	line func(outbox.Effects) actRow
}

// Commit implements Committer.
func (a auditing) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	effects.Rows = append(effects.Rows, a.line(effects))
	return a.desk.Committer.Commit(ctx, effects)
}

// ActFilter chooses acts. Zero fields choose everything.
type ActFilter struct {
	Deed    Deed // or the part of it before a point, such as spend
	Subject string
	Player  string
	Who     string
	Since   time.Time
	Before  string // the id of an act: only older ones, for the next page
	Limit   int    // 0: 100
}

// actsDefault is how many acts a list shows that says no limit.
const actsDefault = 100

// Acts returns the acts, newest first.
func (d *Desk) Acts(ctx context.Context, f ActFilter) ([]Act, error) {
	if f.Limit <= 0 {
		f.Limit = actsDefault
	}
	q := query{sql: "SELECT id, at, deed, subject, app_user_id, who, login, via, reason, before, after FROM operator_acts WHERE true"}
	if f.Deed != "" {
		q.and("(deed = ? OR starts_with(deed, ?))", string(f.Deed), string(f.Deed)+".")
	}
	q.andText("subject = ?", f.Subject)
	q.andText("app_user_id = ?", f.Player)
	q.andText("who = ?", f.Who)
	if !f.Since.IsZero() {
		q.and("at >= ?", f.Since)
	}
	if f.Before != "" {
		if !isUUID(f.Before) {
			return nil, badInput("%q is no act's id", f.Before)
		}
		q.and("id < ?::uuid", f.Before)
	}
	list := []Act{}
	if err := d.DB.SelectContext(ctx, &list, q.text()+q.add(" ORDER BY id DESC LIMIT ?", f.Limit), q.args...); err != nil {
		return nil, fmt.Errorf("read acts: %w", err)
	}
	return list, nil
}
