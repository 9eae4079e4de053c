package backfill

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// The errors of Runs.
var (
	ErrNotFound = errors.New("there is no such backfill: see sluice backfill list")
	ErrFinished = errors.New("the backfill is finished")
)

// lockClass is the advisory locks of runs ("bkfl" in hex): who holds one works on it.
const lockClass = 0x626b666c

// Runs are the backfills that were ever begun. It is safe for concurrent use.
type Runs struct{ DB *sqlx.DB }

const runColumns = `r.id, r.feed, r.state, r.reason, r.started_by, r.changed_by, r.started_at, r.touched_at, r.finished_at, r.players, r.command,
	EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid::bigint = 1651205740 AND l.objsubid = 2 AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.objid::bigint = hashtext(r.id::text)::bigint & 4294967295) AS alive,
	count(f.url) AS files_all, count(f.url) FILTER (WHERE f.finished) AS files_done, coalesce(sum(f.bytes), 0)::bigint AS bytes_all,
	coalesce(sum(f.row_new), 0)::bigint AS row_new, coalesce(sum(f.row_changed), 0)::bigint AS row_changed,
	coalesce(sum(f.row_same), 0)::bigint AS row_same, coalesce(sum(f.row_skipped), 0)::bigint AS row_skipped,
	coalesce(sum(f.row_refused), 0)::bigint AS row_refused, coalesce(sum(f.links), 0)::bigint AS links,
	coalesce(sum(f.wishes), 0)::bigint AS wishes, coalesce(sum(f.row_apart), 0)::bigint AS row_apart,
	coalesce(sum(f.bytes_read), 0)::bigint AS bytes_read`

// wholeFiles puts the parts of files together.
const wholeFiles = `SELECT run_id, url, min(identity) AS identity, min(row_done) AS row_done, max(bytes) AS bytes, bool_and(finished) AS finished, min(position) AS position,
	sum(row_new)::bigint AS row_new, sum(row_changed)::bigint AS row_changed, sum(row_same)::bigint AS row_same, sum(row_skipped)::bigint AS row_skipped,
	sum(row_refused)::bigint AS row_refused, sum(links)::bigint AS links, sum(wishes)::bigint AS wishes, sum(row_apart)::bigint AS row_apart, max(bytes_read) AS bytes_read FROM backfill_files`

type runRow struct {
	ID         string          `db:"id"`
	Feed       string          `db:"feed"`
	State      State           `db:"state"`
	Reason     string          `db:"reason"`
	StartedBy  string          `db:"started_by"`
	ChangedBy  string          `db:"changed_by"`
	StartedAt  time.Time       `db:"started_at"`
	TouchedAt  time.Time       `db:"touched_at"`
	FinishedAt *time.Time      `db:"finished_at"`
	Players    int64           `db:"players"`
	Command    json.RawMessage `db:"command"`
	Alive      bool            `db:"alive"`
	FilesAll   int             `db:"files_all"`
	FilesDone  int             `db:"files_done"`
	BytesAll   int64           `db:"bytes_all"`
	Counts
}

func (r runRow) run() (Run, error) {
	run := Run{
		ID: r.ID, State: r.State, Alive: r.Alive, Reason: r.Reason, StartedBy: r.StartedBy, ChangedBy: r.ChangedBy, StartedAt: r.StartedAt.UTC(),
		TouchedAt: r.TouchedAt.UTC(), Players: r.Players, Counts: r.Counts, FilesAll: r.FilesAll, FilesDone: r.FilesDone, BytesAll: r.BytesAll,
	}
	if r.FinishedAt != nil {
		run.FinishedAt = r.FinishedAt.UTC()
	}
	err := json.Unmarshal(r.Command, &run.Command)
	run.Command.Feed = exports.Feed(r.Feed)
	return run, err
}

func (r Runs) query(ctx context.Context, where string, args ...any) ([]Run, error) {
	var rows []runRow
	err := r.DB.SelectContext(ctx, &rows, `SELECT `+runColumns+` FROM backfill_runs r LEFT JOIN (`+wholeFiles+` GROUP BY run_id, url) f ON f.run_id = r.id `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read backfills: %w", err)
	}
	runs := make([]Run, len(rows))
	for i, row := range rows {
		if runs[i], err = row.run(); err != nil {
			return nil, fmt.Errorf("read backfill %s: %w", row.ID, err)
		}
	}
	return runs, nil
}

// List returns the newest runs, newest first, without their files.
func (r Runs) List(ctx context.Context, limit int) ([]Run, error) {
	return r.query(ctx, "GROUP BY r.id ORDER BY r.started_at DESC, r.id LIMIT $1", limit)
}

// Show returns a run with its files, or ErrNotFound.
func (r Runs) Show(ctx context.Context, id string) (Run, error) {
	if uuid.Validate(id) != nil {
		return Run{}, ErrNotFound
	}
	runs, err := r.query(ctx, "WHERE r.id = $1 GROUP BY r.id", id)
	if err != nil {
		return Run{}, err
	}
	if len(runs) == 0 {
		return Run{}, ErrNotFound
	}
	run := runs[0]
	err = r.DB.SelectContext(ctx, &run.Files, `SELECT url, row_done, bytes, finished, row_new, row_changed, row_same, row_skipped, row_refused, links, wishes, row_apart, bytes_read
		FROM (`+wholeFiles+` WHERE run_id = $1 GROUP BY run_id, url) f ORDER BY position, url`, id)
	if err != nil {
		return run, fmt.Errorf("read backfill %s: %w", id, err)
	}
	return run, nil
}

// Start begins the run of a command, or returns the one that is not finished.
func (r Runs) Start(ctx context.Context, command Command, by string) (run Run, resumed bool, err error) {
	id := outbox.NewID()
	var found string
	err = r.DB.GetContext(ctx, &found, `WITH begun AS (
			INSERT INTO backfill_runs (id, feed, state, started_by, started_at, touched_at, fingerprint, command)
			VALUES ($1, $2, 'running', $3, now(), now(), $4, $5) ON CONFLICT DO NOTHING RETURNING id)
		SELECT id FROM begun UNION ALL SELECT id FROM backfill_runs WHERE fingerprint = $4 AND finished_at IS NULL LIMIT 1`,
		id, string(command.Feed), by, command.fingerprint(), string(command.stored()))
	switch {
	case errors.Is(err, sql.ErrNoRows): // finished between the two halves of the statement
		return r.Start(ctx, command, by)
	case err != nil:
		return Run{}, false, fmt.Errorf("begin backfill: %w", err)
	}
	if found != id {
		if err := r.Resume(ctx, found, by); err != nil {
			return Run{}, false, err
		}
	}
	run, err = r.Show(ctx, found)
	return run, found != id, err
}

// Pause has a run wait. Its process stays, and goes on when the run is resumed.
// Pausing it again changes nothing.
func (r Runs) Pause(ctx context.Context, id, by, reason string) error {
	return r.move(ctx, id, Paused, by, reason)
}

// Resume lets a run go on: by its process, if that still waits; otherwise somebody has
// to run it, see Engine.Run. Resuming one that runs changes nothing.
func (r Runs) Resume(ctx context.Context, id, by string) error {
	return r.move(ctx, id, Running, by, "")
}

// Cancel ends a run for good. What it has committed stays.
func (r Runs) Cancel(ctx context.Context, id, by, reason string) error {
	return r.move(ctx, id, Cancelled, by, reason)
}

// forgetPlayers deletes, with the move of a run to its end, whom it changed.
const forgetPlayers = `WITH forgotten AS (DELETE FROM backfill_players WHERE run_id = $1 AND $2 IN ('cancelled', 'done')) `

// move changes the state of a run that is not finished.
func (r Runs) move(ctx context.Context, id string, to State, by, reason string) error {
	if uuid.Validate(id) != nil {
		return ErrNotFound
	}
	result, err := r.DB.ExecContext(ctx, forgetPlayers+`UPDATE backfill_runs SET state = $2, changed_by = $3, reason = $4, touched_at = now(),
			finished_at = CASE WHEN $2 IN ('cancelled', 'done') THEN now() END
		WHERE id = $1 AND finished_at IS NULL AND state <> $2`, id, string(to), by, reason)
	if err != nil {
		return fmt.Errorf("backfill %s: %w", id, err)
	}
	if moved, err := result.RowsAffected(); err != nil || moved == 1 {
		return err
	}
	switch run, err := r.Show(ctx, id); {
	case err != nil:
		return err
	case run.State == to:
		return nil
	default:
		return fmt.Errorf("%w: it is %s since %s", ErrFinished, run.State, run.FinishedAt.Format(time.RFC3339))
	}
}

// settle is move for the run's own process: it ends only what runs.
func (r Runs) settle(ctx context.Context, id string, to State, reason string) error {
	_, err := r.DB.ExecContext(ctx, forgetPlayers+`UPDATE backfill_runs SET state = $2, reason = $3, touched_at = now(), finished_at = CASE WHEN $2 IN ('cancelled', 'done') THEN now() END
		WHERE id = $1 AND state = 'running'`, id, string(to), reason)
	if err != nil {
		return fmt.Errorf("backfill %s: %w", id, err)
	}
	return nil
}

// take makes this process the one that works on a run, until release. It fails when
// another one does.
func (r Runs) take(ctx context.Context, id string) (release func(), err error) {
	conn, err := r.DB.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	var mine bool
	if err := conn.GetContext(ctx, &mine, "SELECT pg_try_advisory_lock($1, hashtext($2))", lockClass, id); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("lock backfill %s: %w", id, err)
	}
	if !mine {
		_ = conn.Close()
		return nil, fmt.Errorf("another process works on backfill %s: see sluice backfill show %s", id, id)
	}
	return func() { // at once: a server may see only later that a connection is gone
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1, hashtext($2))", lockClass, id)
		postgres.Discard(conn)
	}, nil
}
