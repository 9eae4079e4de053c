package audit

import (
	"context"
	"fmt"
	"sync"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"
)

// jobBlocks is how much of a table one statement reads: 64 MB, a fraction of a second.
const jobBlocks = 8192

// tables are what is compared, the largest first.
var tables = []string{"spends", "adjustments", "ledger_entries", "inventory_grants"}

// jobs divides the tables. A file has no rows that the snapshot sees beyond the size
// that it has after the snapshot was taken; the last part of each is without end all
// the same.
func (b *snapshot) jobs(ctx context.Context) (list []job, err error) {
	for _, table := range tables {
		var size int64
		if err := b.tx.GetContext(ctx, &size, "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", table); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		for from := int64(0); ; from += jobBlocks {
			if from+jobBlocks >= size {
				list = append(list, job{table: table, from: from})
				break
			}
			list = append(list, job{table: table, from: from, upTo: from + jobBlocks})
		}
	}
	return list, nil
}

// linesSame reports whether the lines and items of the spends in scope, a range of
// ids, are those that they ask for. Calls have ids of their own, and are left out.
func (b *snapshot) linesSame(ctx context.Context, s scope) (bool, error) {
	p := newPrints(b)
	for _, table := range []string{"spends", "ledger_entries", "inventory_grants"} {
		add, err := job{table: table, scope: &s}.read(ctx, b, p.seed)
		if err != nil {
			return false, err
		}
		if err := add(p); err != nil {
			return false, err
		}
	}
	same, _ := p.same()
	return same, nil
}

// compare reads all tables once, by so many workers on connections of their own.
func (b *snapshot) compare(ctx context.Context, db *sqlx.DB, workers int, progress func(done, all int64)) (*prints, error) {
	list, err := b.jobs(ctx)
	if err != nil {
		return nil, err
	}
	p := newPrints(b)
	var mu sync.Mutex // guards p and done
	var done int64
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan job)
	group.Go(func() error {
		defer close(jobs)
		for _, one := range list {
			select {
			case jobs <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			own, err := b.beside(ctx, db)
			if err != nil {
				return err
			}
			defer own.release()
			for one := range jobs {
				add, err := one.read(ctx, own, p.seed)
				if err != nil {
					return err
				}
				mu.Lock()
				err = add(p)
				if done++; progress != nil {
					progress(done, int64(len(list)))
				}
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return p, nil
}
