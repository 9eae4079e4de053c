package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// worker commits the chunks of one part, one after the other.
type worker struct {
	*session
	part *part
	bulk *purchases.Bulk
}

func (w *worker) close() {
	if w.bulk != nil {
		w.bulk.Close()
		w.bulk = nil
	}
}

// take commits one chunk, whatever that takes, unless the run is not to go on.
func (w *worker) take(ctx context.Context, c *chunk) error {
	if w.part.Finished { // others of the file were not
		return nil
	}
	if err := w.keep(c.refusals); err != nil {
		return err
	}
	if len(c.statements) > chunkBeside && w.give.players.Spending() { // it was filled before they did
		return w.takeHalves(ctx, c)
	}
	if err := w.pace.wait(ctx, len(c.statements)); err != nil {
		return err
	}
	var away time.Time
	for {
		err := w.give.step(ctx, func() error { return w.commit(ctx, c) })
		data, refused := errors.AsType[*outbox.DataError](err)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errStopped):
			if err := w.untilRunning(ctx); err != nil {
				return err
			}
		case refused && len(c.statements) == 1:
			c.refuse(w.part.URL, data)
			if err := w.keep(c.refusals[len(c.refusals)-1:]); err != nil {
				return err
			}
		case len(c.statements) > 1 && (refused || errors.Is(err, purchases.ErrBulkBusy)):
			return w.takeHalves(ctx, c)
		case ctx.Err() == nil && postgres.Classify(err) == postgres.Unavailable && (away.IsZero() || time.Since(away) < awayMax):
			if away.IsZero() {
				away = time.Now()
				w.Log.WarnContext(ctx, "the database is away; the backfill goes on when it is back", "error", err)
			}
			committed, err := w.reconnect(ctx, c)
			if committed || err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// takeHalves commits a chunk in two, whose refusals are kept.
func (w *worker) takeHalves(ctx context.Context, c *chunk) error {
	one, two := c.halve()
	if err := w.take(ctx, one); err != nil {
		return err
	}
	return w.take(ctx, two)
}

// commit merges a chunk and moves the checkpoint.
func (w *worker) commit(ctx context.Context, c *chunk) error {
	if w.bulk == nil {
		bulk, err := purchases.NewBulk(ctx, w.DB, purchases.BulkConfig{
			Lane: events.Bulk, Subscriptions: w.Subscriptions, Source: Source, Now: w.Now, UsedUpBefore: w.run.Command.UsedUpBefore,
		})
		if err != nil {
			return err
		}
		w.bulk = bulk
	}
	var impact []string
	plan, err := w.bulk.Merge(ctx, c.statements, func(ctx context.Context, tx *sqlx.Tx, plan *purchases.Plan) error {
		w.forget(impact) // of a try before
		var err error
		if impact, err = w.impact(plan); err != nil {
			return err
		}
		return w.checkpoint(ctx, tx, w.part, c, plan, impact)
	})
	if err != nil {
		w.forget(impact)
		return err
	}
	w.committed(c, plan)
	return nil
}

// impact counts the players that a plan changes and no plan before it did. While there
// is a limit it fails when that would be passed.
func (s *session) impact(plan *purchases.Plan) (fresh []string, err error) {
	if s.ImpactMax == 0 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range plan.Players() {
		if !s.players[id] {
			fresh = append(fresh, id)
		}
	}
	total := s.run.Players + int64(len(fresh))
	if total > s.ImpactMax {
		return nil, fmt.Errorf("%w: with the next rows %d players would be changed, %d are allowed", ErrImpact, total, s.ImpactMax)
	}
	for _, id := range fresh {
		s.players[id] = true
	}
	s.run.Players = total
	return fresh, nil
}

// forget takes back what impact counted: the commit failed.
func (s *session) forget(players []string) {
	if len(players) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range players {
		delete(s.players, id)
	}
	s.run.Players -= int64(len(players))
}

// committed counts what a commit did.
func (w *worker) committed(c *chunk, plan *purchases.Plan) {
	p := w.part
	n := Counts{
		New: int64(plan.New), Changed: int64(plan.Changed), Same: int64(plan.Unchanged), Links: int64(plan.Linked), Skipped: c.skipped, Refused: c.refused,
	}
	p.RowDone, p.Finished, p.Bytes = c.last, c.end, max(c.bytes, p.Bytes)
	w.pace.owes(plan.Owed)
	w.mu.Lock()
	w.rows += n.Rows()
	w.run.Counts.add(n)
	w.run.TouchedAt = w.Now()
	for i := range w.run.Files {
		if f := &w.run.Files[i]; f.URL == p.URL && f.Bytes < p.Bytes {
			w.run.Counts.Bytes += p.Bytes - f.Bytes
			f.Bytes = p.Bytes
		}
	}
	w.mu.Unlock()
	w.report("")
}

// reconnect waits for a database that was away, and tells whether the chunk's commit,
// whose answer was lost, happened.
func (w *worker) reconnect(ctx context.Context, c *chunk) (committed bool, err error) {
	w.close()
	if err := w.rest(ctx, "the database is away"); err != nil {
		return false, err
	}
	p := w.part
	var now part
	err = w.DB.GetContext(ctx, &now, "SELECT row_done, finished FROM backfill_files WHERE run_id = $1 AND url = $2 AND part = $3", w.run.ID, p.URL, p.Part)
	switch {
	case err != nil, now.RowDone == p.RowDone && now.Finished == p.Finished:
		return false, nil //nolint:nilerr // still away: the next try says so
	case now.RowDone != c.last:
		return false, errTaken
	}
	p.RowDone, p.Finished = now.RowDone, now.Finished
	return true, nil
}
