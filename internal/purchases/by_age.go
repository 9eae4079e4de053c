package purchases

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// notOwed keeps what a delivery may still need: one that is owed, and one set aside
// that an operator may replay.
const notOwed = ` NOT EXISTS (SELECT FROM outbox o WHERE o.event_id IN (w.id || '.received', w.id || '.moved'))
	AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.event_id IN (w.id || '.received', w.id || '.moved') AND d.resolved_at IS NULL)`

const (
	oldBodies   = ` FROM webhook_events w WHERE received_at < $1 AND body IS NOT NULL AND` + notOwed
	oldWebhooks = ` FROM webhook_events w WHERE received_at < $1 AND` + notOwed
	oldKeys     = ` FROM webhook_keys k WHERE received_at < $1 AND NOT EXISTS (SELECT FROM webhook_events w WHERE w.id = k.webhook_id)`

	// A statement that came when its month was dropped already lies with the rest. What
	// holds a month holds it, too (internal/retention, versionPins).
	lateVersions = ` FROM purchase_versions_rest v WHERE said_at < $1
		AND NOT EXISTS (SELECT FROM claims c WHERE c.transaction_id = v.transaction_id AND c.state = 'pending')
		AND v.transaction_id NOT IN (SELECT t.id FROM outbox o CROSS JOIN LATERAL (
			SELECT o.payload->'data'->>'transaction_id' AS id UNION ALL SELECT json_object_keys(o.payload->'data'->'transactions')) t
			WHERE o.event_id LIKE '%.changed' AND t.id IS NOT NULL)
		AND v.transaction_id NOT IN (SELECT t.id FROM dead_letters d CROSS JOIN LATERAL (
			SELECT coalesce(m[1], m[2]) AS id FROM regexp_matches(encode(d.payload, 'escape'), '"transaction_id":"([^"]*)"|"([^"]*)":[0-9]+[,}]', 'g') m) t
			WHERE d.resolved_at IS NULL AND d.event_id LIKE '%.changed' AND t.id IS NOT NULL)`

	// but leaves the rows of some partitions out.
	but = ` AND w.tableoid <> ALL ($2::text[]::regclass[]::oid[])`
)

// ClearBodies clears the raw bodies of webhooks received before a time, at most
// limit of them, the oldest first, and returns how many. Bodies that a delivery
// still needs stay. A second call clears the next; several at once share the work.
func (s *Store) ClearBodies(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH cleared AS (
			UPDATE webhook_events SET body = NULL WHERE id IN (SELECT id`+oldBodies+` ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) FROM cleared`, before, limit)
	return n, err
}

// CountBodies returns how many bodies ClearBodies would clear in all, but for those in
// some partitions.
func (s *Store) CountBodies(ctx context.Context, before time.Time, except []string) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*)`+oldBodies+but, before, postgres.Array(except))
	return n, err
}

// DeleteWebhooks deletes webhooks received before a time, at most limit of them, the
// oldest first, and returns how many. Those that a delivery still needs stay, and so
// does every key: a replay is known as one.
func (s *Store) DeleteWebhooks(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH gone AS (
			DELETE FROM webhook_events WHERE id IN (SELECT id`+oldWebhooks+` ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) FROM gone`, before, limit)
	return n, err
}

// CountWebhooks returns how many webhooks DeleteWebhooks would delete in all, but for
// those in some partitions.
func (s *Store) CountWebhooks(ctx context.Context, before time.Time, except []string) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*)`+oldWebhooks+but, before, postgres.Array(except))
	return n, err
}

// DeleteWebhookKeys deletes the keys of webhooks received before a time whose rows are
// gone, at most limit of them, and returns how many.
func (s *Store) DeleteWebhookKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH gone AS (
			DELETE FROM webhook_keys WHERE event_key IN (SELECT event_key`+oldKeys+` LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) FROM gone`, before, limit)
	return n, err
}

// CountWebhookKeys returns how many keys DeleteWebhookKeys would delete in all, of rows
// that are gone already.
func (s *Store) CountWebhookKeys(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*)`+oldKeys, before)
	return n, err
}

// DeleteLateVersions deletes statements made before a time that came when those of
// their month were gone, at most limit of them, and returns how many. Those about a
// purchase that somebody claims, or of which a delivery is owed or set aside, stay.
func (s *Store) DeleteLateVersions(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `WITH gone AS (
			DELETE FROM purchase_versions_rest WHERE ctid IN (SELECT ctid`+lateVersions+` LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) FROM gone`, before, limit)
	return n, err
}

// CountLateVersions returns how many statements DeleteLateVersions would delete in all.
func (s *Store) CountLateVersions(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*)`+lateVersions, before)
	return n, err
}
