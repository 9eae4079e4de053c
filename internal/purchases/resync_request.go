package purchases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// ResyncAsked is the guard of a wish to have a customer read from the provider
// again: the time of the last such wish is over, and that one is not owed any more.
//
// Results: Applied; Duplicate when an earlier wish does, see Store.ResyncRequest.
type ResyncAsked struct{ ResyncRequest }

// ResyncRequest is a wish to have a customer read again.
type ResyncRequest struct {
	ID          string // UUIDv7, ours
	AppUserID   string
	Reason      events.ResyncReason // restore, silence or list
	RequestedAt time.Time
	NextAt      time.Time // not again before
}

// Event returns the wish itself.
func (r ResyncRequest) Event(lane events.Lane) events.Event {
	return events.NewCustomerResyncRequested(lane, r.Reason, r.ID, r.AppUserID, r.RequestedAt)
}

var resyncAskedKind = &outbox.Kind{
	Name: "resync_asked",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "requested_at", Type: "timestamptz"}, {Name: "next_at", Type: "timestamptz"},
		{Name: "app_user_id", Type: "text"}, {Name: "reason", Type: "text"}, {Name: "event_id", Type: "text"},
	},
	Steps: []outbox.Step{
		// A row from the future is a clock that was wrong: it does not count.
		{Name: "upsert", SQL: `INSERT INTO resync_requests AS q (id, requested_at, next_at, app_user_id, reason, event_id)
			SELECT r.id, r.requested_at, r.next_at, r.app_user_id, r.reason, r.event_id FROM {rows} r ORDER BY r.app_user_id, r.reason
			ON CONFLICT (app_user_id, reason) DO UPDATE
				SET id = excluded.id, requested_at = excluded.requested_at, next_at = excluded.next_at, event_id = excluded.event_id
			WHERE (excluded.requested_at >= q.next_at OR excluded.next_at <= q.requested_at)
				AND NOT EXISTS (SELECT FROM outbox o WHERE o.event_id = q.event_id)
			RETURNING id`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT id FROM {upsert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, CASE WHEN q.id = r.id THEN 'applied' ELSE 'duplicate' END FROM {rows} r
		JOIN resync_requests q ON q.app_user_id = r.app_user_id AND q.reason = r.reason`,
}

// Kind implements outbox.Row.
func (r ResyncAsked) Kind() *outbox.Kind { return resyncAskedKind }

// AppendTo implements outbox.Row.
func (r ResyncAsked) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.ID)
	c.Time(r.RequestedAt)
	c.Time(r.NextAt)
	c.Text(r.AppUserID)
	c.Text(string(r.Reason))
	c.Text(r.Event(events.Store).ID)
}

// GuardKey implements outbox.GuardRow.
func (r ResyncAsked) GuardKey() string { return "resync:" + string(r.Reason) + "/" + r.AppUserID }

// ResyncState is how a wish stands.
type ResyncState string

// The states of a wish.
const (
	ResyncRunning  ResyncState = "running"  // owed
	ResyncFinished ResyncState = "finished" // the customer was read
	ResyncFailed   ResyncState = "failed"   // set aside: a dead letter
)

// ResyncRequest returns the last wish of a player for a reason and how it stands, or
// ErrNotFound.
func (s *Store) ResyncRequest(ctx context.Context, appUserID string, reason events.ResyncReason) (ResyncRequest, ResyncState, error) {
	var row struct {
		ID          string    `db:"id"`
		RequestedAt time.Time `db:"requested_at"`
		NextAt      time.Time `db:"next_at"`
		Owed        bool      `db:"owed"`
		Dead        bool      `db:"dead"`
	}
	switch err := s.db.GetContext(ctx, &row, `SELECT q.id, q.requested_at, q.next_at,
		EXISTS (SELECT FROM outbox o WHERE o.event_id = q.event_id) AS owed,
		EXISTS (SELECT FROM dead_letters d WHERE d.event_id = q.event_id AND d.resolved_at IS NULL) AS dead
		FROM resync_requests q WHERE q.app_user_id = $1 AND q.reason = $2`, appUserID, string(reason)); {
	case errors.Is(err, sql.ErrNoRows):
		return ResyncRequest{}, "", ErrNotFound
	case err != nil:
		return ResyncRequest{}, "", fmt.Errorf("read resync request: %w", err)
	}
	r := ResyncRequest{ID: row.ID, AppUserID: appUserID, Reason: reason, RequestedAt: row.RequestedAt.UTC(), NextAt: row.NextAt.UTC()}
	switch {
	case row.Owed:
		return r, ResyncRunning, nil
	case row.Dead:
		return r, ResyncFailed, nil
	}
	return r, ResyncFinished, nil
}

const (
	// renewedAround is how long before the end of a period a store may charge for the next
	// (the App Store: 24 hours), and how late the end may be told.
	renewedAround = "1 day"
	// comesBackWithin is how long after its end a subscription may be resumed: the App Store
	// tries a failed payment for 60 days, Google Play lets customers pause for three months.
	comesBackWithin = "92 days"
)

// MissedBetween returns players of whom a webhook may have been missed in a time, in
// the order of their ids, at most limit of them beginning after an id: those whose
// paid period ended then, or was about to, so that it was renewed; those whose payment
// failed or who paused before, and may have come back; and those who claimed then and
// still wait. It cannot know who bought something then for the first time or once more,
// was refunded, or was transferred.
func (s *Store) MissedBetween(ctx context.Context, from, until time.Time, after string, limit int) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `SELECT app_user_id FROM (
			SELECT app_user_id FROM purchases WHERE expires_at BETWEEN $1::timestamptz - $6::interval AND $2::timestamptz + $6::interval AND refunded_at IS NULL
			UNION SELECT app_user_id FROM purchases WHERE expires_at BETWEEN $1::timestamptz - $7::interval AND $2 AND refunded_at IS NULL AND intent IN ($8, $9)
			UNION SELECT app_user_id FROM claims WHERE claimed_at BETWEEN $1 AND $2 AND (state = 'pending' OR reason = $5)
		) missed WHERE app_user_id > $3 ORDER BY app_user_id LIMIT $4`, from, until, after, limit, economy.ClaimUnknown,
		renewedAround, comesBackWithin, economy.IntentBillingIssue, economy.IntentPaused)
	if err != nil {
		return nil, fmt.Errorf("read who may be missing webhooks: %w", err)
	}
	return ids, nil
}
