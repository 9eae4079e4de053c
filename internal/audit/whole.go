package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/economy"
)

// PartSpends is how many spends are looked at together: a hash of them fits in
// work_mem, and a statement takes a fraction of a second.
const PartSpends = 50_000

// Report is what an audit of the whole database says.
type Report struct {
	At      time.Time `json:"at"` // of the snapshot, by PostgreSQL's clock
	Sums    `json:"sums"`
	Moved   int64     `json:"movement_lines"`   // lines of provider_movements
	Posted  int64     `json:"correction_lines"` // lines of ledger_corrections
	Open    []Open    `json:"open"`             // calls whose outcome is not known yet
	Wrong   []Finding `json:"wrong"`
	Players []Off     `json:"players_off"` // whose sums do not balance
}

// Off is a player whose sums do not balance.
type Off struct {
	AppUserID string           `json:"app_user_id"`
	Currency  economy.Currency `json:"currency"`
	Sum
}

// Balanced reports whether nothing is wrong.
func (r Report) Balanced() bool { return len(r.Wrong) == 0 }

// Whole audits the whole database in one snapshot, by so many workers, each on a
// connection of its own. It compares fingerprints of the tables, and only where they
// differ looks at the spends part by part, to name what is wrong. progress, if not
// nil, is told how many parts of all are read; by one goroutine at a time. It changes
// nothing. A second call says the same of what has not changed.
func Whole(ctx context.Context, db *sqlx.DB, workers int, progress func(done, all int64)) (Report, error) {
	first, err := take(ctx, db)
	if err != nil {
		return Report{}, err
	}
	defer first.release()
	report := Report{At: first.at, Open: []Open{}, Wrong: slices.Concat([]Finding{}, first.changed), Players: []Off{}}
	prints, err := first.compare(ctx, db, max(1, workers), progress)
	if err != nil {
		return Report{}, err
	}
	report.Sums = prints.sums
	if lines, calls := prints.same(); !lines || !calls {
		if err := report.parts(ctx, db, first, max(1, workers), !lines, !calls); err != nil {
			return Report{}, err
		}
		if len(report.Wrong) == 0 {
			return Report{}, errors.New("audit: the tables do not agree, and no row of them is wrong by itself: this is a mistake of the audit, please report it")
		}
	}
	if err := report.apart(ctx, first, prints.apart); err != nil {
		return Report{}, err
	}
	if report.Open, err = first.open(ctx, prints.open); err != nil {
		return Report{}, err
	}
	for _, look := range []func(context.Context, *Report) error{first.movements, first.corrections, first.off} {
		if err := look(ctx, &report); err != nil {
			return Report{}, err
		}
	}
	report.Wrong = sorted(report.Wrong)
	return report, nil
}

// apart looks at the spends that were taken back, of which there are few.
func (r *Report) apart(ctx context.Context, b *snapshot, ids []string) error {
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), PartSpends/10) {
		wrong, err := b.named(ctx, someOf(part), exactLines, exactReclaims)
		if err != nil {
			return err
		}
		r.Wrong = append(r.Wrong, wrong...)
	}
	return nil
}

// parts names what is wrong with the lines and items of all spends, and with the calls.
func (r *Report) parts(ctx context.Context, db *sqlx.DB, first *snapshot, workers int, lines, calls bool) error {
	group, ctx := errgroup.WithContext(ctx)
	parts, done := make(chan scope), make(chan []Finding)
	group.Go(func() error {
		defer close(parts)
		return first.divide(ctx, parts)
	})
	var working errgroup.Group
	for range workers {
		working.Go(func() error { return work(ctx, db, first, lines, calls, parts, done) })
	}
	group.Go(func() error {
		defer close(done)
		return working.Wait()
	})
	group.Go(func() error {
		for wrong := range done {
			r.Wrong = append(r.Wrong, wrong...)
		}
		return nil
	})
	return group.Wait()
}

// divide sends every part there is.
func (b *snapshot) divide(ctx context.Context, parts chan<- scope) error {
	for after := ""; ; {
		part, last, err := next(ctx, b.tx, after, "", PartSpends)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		select {
		case parts <- part:
		case <-ctx.Done():
			return ctx.Err()
		}
		if last {
			return nil
		}
		after = part.upTo
	}
}

// work names what is wrong with parts, on a connection of its own.
func work(ctx context.Context, db *sqlx.DB, first *snapshot, lines, calls bool, parts <-chan scope, done chan<- []Finding) error {
	b, err := first.beside(ctx, db)
	if err != nil {
		return err
	}
	defer b.release()
	for part := range parts {
		wrong, err := b.nameIn(ctx, part, lines, calls)
		if err != nil {
			return err
		}
		select {
		case done <- wrong:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// nameIn names what is wrong with a part. Its lines are joined only where their
// fingerprints differ.
func (b *snapshot) nameIn(ctx context.Context, part scope, lines, calls bool) (found []Finding, err error) {
	if lines {
		same, err := b.linesSame(ctx, part)
		if err != nil {
			return nil, err
		}
		if !same {
			if found, err = b.exactOfLines(ctx, part); err != nil {
				return nil, err
			}
		}
	}
	if calls {
		spends, err := b.named(ctx, part, exactCalls)
		if err != nil {
			return nil, err
		}
		wrong, err := b.exactOfCalls(ctx, part)
		if err != nil {
			return nil, err
		}
		found = slices.Concat(found, spends, wrong)
	}
	return found, nil
}
