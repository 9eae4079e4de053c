package backfill

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// pace keeps a run from going faster than it may.
type pace struct {
	*session

	mu    sync.Mutex
	next  time.Time // no earlier, by the rate
	owed  int       // deliveries of the lane Bulk: those counted last, and what was added since
	asked bool
}

// owes says what a commit added to the backlog.
func (p *pace) owes(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed += n
}

// wait returns when the next rows may be committed.
func (p *pace) wait(ctx context.Context, rows int) error {
	if p.Rate > 0 {
		if err := p.atRate(ctx, rows); err != nil {
			return err
		}
	}
	for p.BacklogMax > 0 {
		within, err := p.withinBacklog(ctx)
		if err != nil || within {
			return err
		}
		if err := p.rest(ctx, fmt.Sprintf("consumers are owed more than %d deliveries of the lane %s; is sluice work running?", p.BacklogMax, events.Bulk)); err != nil {
			return err
		}
		if run, err := p.runs.Show(ctx, p.run.ID); err == nil && run.State != Running {
			if err := p.untilRunning(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// withinBacklog counts what is owed, when it may be too much by what is known. No more
// rows are read than the limit.
func (p *pace) withinBacklog(ctx context.Context) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked && p.owed <= p.BacklogMax {
		return true, nil
	}
	err := p.DB.GetContext(ctx, &p.owed, "SELECT count(*) FROM (SELECT FROM outbox WHERE lane = $1 LIMIT $2) o", string(events.Bulk), p.BacklogMax+1)
	if postgres.Classify(err) == postgres.Unavailable { // the commit says for how long that may be
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read backlog: %w", err)
	}
	p.asked = true
	return p.owed <= p.BacklogMax, nil
}

// atRate spreads commits by their rows: a commit waits until those before it had their time.
func (p *pace) atRate(ctx context.Context, rows int) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	due := p.next
	p.next = p.next.Add(time.Duration(rows) * time.Second / time.Duration(p.Rate))
	p.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Until(due), lookEvery)):
		}
		if !time.Now().Before(due) {
			return nil
		}
		if err := p.untilRunning(ctx); err != nil { // it may take minutes
			return err
		}
	}
}
