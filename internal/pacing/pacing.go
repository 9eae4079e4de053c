// Package pacing keeps work that nobody waits for, such as a burst of purchases or a
// backfill, from taking the processors and the disk from what players wait for. While
// players spend it works a share of the time and rests for the others; while nobody
// does it works without a break.
package pacing

import (
	"context"
	"time"
)

// Pacer has somebody rest between steps of work. It is safe for concurrent use.
type Pacer struct {
	Spending func() bool   // whether players spend now; Players.Spending
	Share    float64       // of the time that may go into work while they do; above 0, at most 1
	RestMax  time.Duration // of one rest: work goes on, whatever a step of it took
}

// Rest returns when the next step may begin, after one that took so long, or when ctx
// ends. While nobody spends that is at once.
func (p Pacer) Rest(ctx context.Context, worked time.Duration) {
	rest := p.after(worked)
	if rest <= 0 || !p.Spending() {
		return
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// after is how long to rest after a step.
func (p Pacer) after(worked time.Duration) time.Duration {
	return min(time.Duration(float64(worked)*(1-p.Share)/p.Share), p.RestMax)
}
