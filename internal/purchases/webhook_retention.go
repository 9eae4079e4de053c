package purchases

import (
	"context"
	"database/sql"
	"time"
)

// notOwed keeps what a delivery may still need: one that is owed, and one set aside
// that an operator may replay.
const notOwed = ` NOT EXISTS (SELECT FROM outbox o WHERE o.event_id IN (w.id || '.received', w.id || '.moved'))
	AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.event_id IN (w.id || '.received', w.id || '.moved') AND d.resolved_at IS NULL)`

// ClearBodies clears the raw bodies of webhooks received before a time, at most
// limit of them, the oldest first, and returns how many. Bodies that a delivery
// still needs stay. A second call clears the next; several at once share the work.
func (s *Store) ClearBodies(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH cleared AS (
			UPDATE webhook_events SET body = NULL WHERE id IN (
				SELECT id FROM webhook_events w WHERE received_at < $1 AND body IS NOT NULL AND`+notOwed+`
				ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) FROM cleared`, before, limit)
	return n, err
}

// DeleteWebhooks deletes webhooks received before a time, at most limit of them, the
// oldest first, and returns how many. Those that a delivery still needs stay. The
// key of one received before keysBefore goes with it; younger keys stay, so that a
// replay is known as one.
func (s *Store) DeleteWebhooks(ctx context.Context, before, keysBefore time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH gone AS (
			DELETE FROM webhook_events WHERE id IN (
				SELECT id FROM webhook_events w WHERE received_at < $1 AND`+notOwed+`
				ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED)
			RETURNING event_key, received_at),
		keys AS (DELETE FROM webhook_keys k USING gone g WHERE k.event_key = g.event_key AND g.received_at < $2)
		SELECT count(*) FROM gone`, before, keysBefore, limit)
	return n, err
}

// LastWebhook returns when the last authentic webhook was received; zero: never.
func (s *Store) LastWebhook(ctx context.Context) (time.Time, error) {
	var at sql.NullTime
	err := s.db.GetContext(ctx, &at, "SELECT max(received_at) FROM webhook_events")
	return at.Time.UTC(), err
}
