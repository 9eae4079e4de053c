package backfill

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// part is one part of a file as its row tells.
type part struct {
	URL      string `db:"url"`
	Identity string `db:"identity"`
	Part     int    `db:"part"`
	Parts    int    `db:"parts"`
	RowDone  int64  `db:"row_done"`
	Bytes    int64  `db:"bytes_read"`
	Finished bool   `db:"finished"`
}

// enlist writes down which files there are, in parts. A file that is another one than
// before begins anew.
func (s *session) enlist(ctx context.Context, files []exports.File) (map[string][]*part, error) {
	workers := s.Workers
	if workers <= 0 {
		workers = WorkersDefault
	}
	if s.run.Command.Feed != exports.Transactions {
		workers = 1
	}
	for i, file := range files {
		if _, err := s.DB.ExecContext(ctx, "DELETE FROM backfill_files WHERE run_id = $1 AND url = $2 AND identity <> $3", s.run.ID, file.URL, file.Identity); err != nil {
			return nil, fmt.Errorf("enlist %s: %w", file.URL, err)
		}
		_, err := s.DB.ExecContext(ctx, `INSERT INTO backfill_files (run_id, url, identity, bytes, position, part, parts)
			SELECT $1, $2, $3, $4, $5, n, $6 FROM generate_series(0, $6 - 1) n
			WHERE NOT EXISTS (SELECT FROM backfill_files WHERE run_id = $1 AND url = $2)`,
			s.run.ID, file.URL, file.Identity, file.Size, i, workers)
		if err != nil {
			return nil, fmt.Errorf("enlist %s: %w", file.URL, err)
		}
	}
	var list []*part
	err := s.DB.SelectContext(ctx, &list, `SELECT url, identity, part, parts, row_done, bytes_read, finished FROM backfill_files WHERE run_id = $1 ORDER BY url, part`, s.run.ID)
	if err != nil {
		return nil, fmt.Errorf("read backfill %s: %w", s.run.ID, err)
	}
	parts := map[string][]*part{}
	for _, p := range list {
		parts[p.URL] = append(parts[p.URL], p)
	}
	run, err := s.runs.Show(ctx, s.run.ID)
	if err != nil {
		return nil, err
	}
	var changed []string // before it was paused
	if s.ImpactMax > 0 {
		if err := s.DB.SelectContext(ctx, &changed, "SELECT app_user_id FROM backfill_players WHERE run_id = $1", s.run.ID); err != nil {
			return nil, fmt.Errorf("read backfill %s: %w", s.run.ID, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = run
	for _, id := range changed {
		s.players[id] = true
	}
	return parts, nil
}

// checkpoint says in the commit of the rows that they are done with. The state of the
// run and the row before are its guard.
func (s *session) checkpoint(ctx context.Context, tx *sqlx.Tx, p *part, c *chunk, plan *purchases.Plan, players []string) error {
	result, err := tx.ExecContext(ctx, `WITH run AS (
			UPDATE backfill_runs SET touched_at = now(), players = players + $14 WHERE id = $1 AND state = 'running' RETURNING id)
		UPDATE backfill_files f SET row_done = $5, row_new = f.row_new + $6, row_changed = f.row_changed + $7, row_same = f.row_same + $8,
			row_skipped = f.row_skipped + $9, row_refused = f.row_refused + $10, links = f.links + $11, bytes_read = $12, finished = $13
		FROM run WHERE f.run_id = run.id AND f.url = $2 AND f.part = $3 AND f.row_done = $4 AND NOT f.finished AND f.identity = $15`,
		s.run.ID, p.URL, p.Part, p.RowDone, c.last, plan.New, plan.Changed, plan.Unchanged, c.skipped, c.refused, plan.Linked,
		max(c.bytes, p.Bytes), c.end, len(players), p.Identity)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	moved, err := result.RowsAffected()
	if err == nil && moved == 1 && len(players) > 0 {
		_, err = tx.ExecContext(ctx, "INSERT INTO backfill_players (run_id, app_user_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING", s.run.ID, postgres.Array(players))
	}
	if err != nil || moved == 1 {
		return err
	}
	var running, mine bool
	if err := tx.QueryRowContext(ctx, `SELECT state = 'running', EXISTS (SELECT FROM backfill_files f
			WHERE f.run_id = r.id AND f.url = $2 AND f.part = $3 AND f.row_done = $4 AND NOT f.finished AND f.identity = $5)
		FROM backfill_runs r WHERE id = $1`, s.run.ID, p.URL, p.Part, p.RowDone, p.Identity).Scan(&running, &mine); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if !running || mine { // mine and running: it was resumed a moment ago
		return errStopped
	}
	return errTaken
}
