package audit

import (
	"context"
	"fmt"
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
// connection of its own. progress, if not nil, is told how many spends were looked
// at; by one goroutine at a time. It changes nothing. A second call says the same
// of what has not changed.
func Whole(ctx context.Context, db *sqlx.DB, workers int, progress func(spends int64)) (Report, error) {
	first, err := take(ctx, db)
	if err != nil {
		return Report{}, err
	}
	defer first.release()
	report := Report{At: first.at, Open: []Open{}, Wrong: []Finding{}, Players: []Off{}}
	if err := report.parts(ctx, db, first, max(1, workers), progress); err != nil {
		return Report{}, err
	}
	for _, look := range []func(context.Context, *Report) error{first.calls, first.movements, first.corrections, first.open, first.off} {
		if err := look(ctx, &report); err != nil {
			return Report{}, err
		}
	}
	report.Wrong = sorted(report.Wrong)
	return report, nil
}

// parts audits all spends and their lines.
func (r *Report) parts(ctx context.Context, db *sqlx.DB, first *snapshot, workers int, progress func(int64)) error {
	group, ctx := errgroup.WithContext(ctx)
	parts, done := make(chan scope), make(chan partDone)
	group.Go(func() error {
		defer close(parts)
		return first.divide(ctx, parts)
	})
	var working errgroup.Group
	for range workers {
		working.Go(func() error { return work(ctx, db, first, parts, done) })
	}
	group.Go(func() error {
		defer close(done)
		return working.Wait()
	})
	group.Go(func() error {
		for one := range done {
			r.Sums.plus(one.sums)
			r.Wrong = append(r.Wrong, one.wrong...)
			if progress != nil {
				progress(r.Sums.Spends)
			}
		}
		return nil
	})
	return group.Wait()
}

type partDone struct {
	sums  Sums
	wrong []Finding
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

// work audits parts on a connection of its own.
func work(ctx context.Context, db *sqlx.DB, first *snapshot, parts <-chan scope, done chan<- partDone) error {
	b, err := first.beside(ctx, db)
	if err != nil {
		return err
	}
	defer b.release()
	for part := range parts {
		var one partDone
		if one.wrong, err = b.part(ctx, part, &one.sums); err != nil {
			return err
		}
		select {
		case done <- one:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
