package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// orderedTries is how often a commit is tried that others are in the way of.
const orderedTries = 20

// orderedSession is as that of Bulk: rows by key, and nobody is kept waiting for long.
// The checkpoint is in the commit, so it need not be on disk when it returns.
const orderedSession = `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
	SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '60s'`

// tally is what became of the rows of a commit.
type tally struct {
	fresh, known int // rows
	apart        int // of the new ones: kept, and acted on by nobody
	links        int
	wishes       int
	owed         int // deliveries
}

// ordered takes the rows of a file one after the other: those of a list, or of an
// archive, whose order is that of arrival.
type ordered[T any] struct {
	*session
	part *part
	take func(ctx context.Context, tx *sqlx.Tx, said []T) (tally, error)
}

// inOrder brings one file of a feed that is not of transactions to its end.
func (s *session) inOrder(ctx context.Context, file exports.File, p *part) error {
	filter := s.run.Command.Filter
	switch s.run.Command.Feed {
	case exports.Events:
		r, err := openArchive(ctx, file, p.RowDone, filter, s.Judge, s.Now)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return (&ordered[webhook]{s, p, s.takeWebhooks}).run(ctx, r)
	case exports.Customers:
		r, err := openCustomerList(ctx, file, p.RowDone, filter)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		return (&ordered[exports.CustomerRow]{s, p, s.takeListed}).run(ctx, r)
	case exports.Transactions, exports.Currency:
	}
	return fmt.Errorf("no backfill reads the feed %q", s.run.Command.Feed)
}

// run brings the file to its end.
func (o *ordered[T]) run(ctx context.Context, r source[T]) error {
	for _, warning := range r.Warnings() {
		o.Log.WarnContext(ctx, "export", "file", o.part.URL, "warning", warning)
	}
	// The next batch is read while one is committed.
	reading, stop := context.WithCancel(ctx)
	batches := make(chan *batch[T])
	defer func() {
		stop()
		for range batches { // until nobody reads any more
		}
	}()
	go func() {
		defer close(batches)
		for {
			b := gather(r, o.Chunk)
			select {
			case batches <- b:
			case <-reading.Done():
				return
			}
			if b.err != nil || b.end {
				return
			}
		}
	}()
	for b := range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.keep(b.refusals); err != nil {
			return err
		}
		if err := o.commitAll(ctx, b); err != nil {
			return err
		}
		if b.err != nil {
			return b.err
		}
	}
	return ctx.Err()
}

// commitAll commits a batch, whatever that takes, unless the run is not to go on.
func (o *ordered[T]) commitAll(ctx context.Context, b *batch[T]) error {
	if err := o.pace.wait(ctx, len(b.said)); err != nil {
		return err
	}
	w := &worker{session: o.session, part: o.part}
	var away time.Time
	for tries := 1; ; {
		err := o.give.step(ctx, func() error { return o.commit(ctx, w, b) })
		class := postgres.Classify(err)
		_, refused := errors.AsType[*outbox.DataError](err)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errStopped):
			if err := o.untilRunning(ctx); err != nil {
				return err
			}
		case refused && len(b.said) == 1:
			b.refuse(o.part.URL, err)
			if err := o.keep(b.refusals[len(b.refusals)-1:]); err != nil {
				return err
			}
		case len(b.said) > 1 && (refused || class == postgres.Deadlock && tries > orderedTries):
			one, two := b.halve()
			if err := o.commitAll(ctx, one); err != nil { // the checkpoint of the second half is that of the first, too
				return err
			}
			return o.commitAll(ctx, two)
		case class == postgres.Deadlock && tries <= orderedTries:
			tries++
		case ctx.Err() == nil && class == postgres.Unavailable && (away.IsZero() || time.Since(away) < awayMax):
			if away.IsZero() {
				away = time.Now()
				o.Log.WarnContext(ctx, "the database is away; the backfill goes on when it is back", "error", err)
			}
			committed, err := w.reconnect(ctx, &b.chunk)
			if committed || err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// commit writes what the rows tell, and moves the checkpoint.
func (o *ordered[T]) commit(ctx context.Context, w *worker, b *batch[T]) error {
	tx, err := o.DB.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // of nothing, once it is committed
	if _, err := tx.ExecContext(ctx, orderedSession); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	var n tally
	if len(b.said) > 0 {
		if n, err = o.take(ctx, tx, b.said); unstorable(err) {
			return &outbox.DataError{Err: err}
		} else if err != nil {
			return err
		}
	}
	plan := &purchases.Plan{New: n.fresh, Unchanged: n.known, Linked: n.links, Owed: n.owed}
	if err := o.checkpoint(ctx, tx, o.part, &b.chunk, plan, nil); err != nil {
		return err
	}
	if n.apart > 0 || n.wishes > 0 {
		if _, err := tx.ExecContext(ctx, "UPDATE backfill_files SET row_apart = row_apart + $3, wishes = wishes + $4 WHERE run_id = $1 AND url = $2",
			o.session.run.ID, o.part.URL, n.apart, n.wishes); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	o.mu.Lock()
	o.session.run.Counts.Apart += int64(n.apart)
	o.session.run.Counts.Wishes += int64(n.wishes)
	o.mu.Unlock()
	w.committed(&b.chunk, plan)
	return nil
}

// unstorable reports whether the database blames the values of a statement, or that
// they are longer than what an index takes (SQLSTATE 54).
func unstorable(err error) bool {
	code := postgres.Code(err)
	return postgres.Classify(err) == postgres.Data || len(code) == 5 && code[:2] == "54"
}
