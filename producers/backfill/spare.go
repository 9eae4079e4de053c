package backfill

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// CommitMaxDefault is how long a commit of somebody else may take before a run slows down.
const CommitMaxDefault = 15 * time.Millisecond

const (
	probeEvery = 100 * time.Millisecond
	probeMax   = 5 * time.Second        // one that takes longer tells enough
	restStep   = 20 * time.Millisecond  // what the first slow commit costs each chunk
	restMax    = 500 * time.Millisecond // so that a run never stands still: a disk may just be slow
)

// spare keeps players from waiting for a run: it makes an empty durable commit ten times a
// second, as a spend would, and has the workers rest after each chunk while that takes
// too long.
type spare struct {
	*session
	rests atomic.Int64 // nanoseconds
}

// watch probes until ctx ends.
func (s *spare) watch(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		probe, cancel := context.WithTimeout(ctx, probeMax)
		began := time.Now()
		// A transaction that leaves nothing but its commit in the log.
		_, err := s.DB.ExecContext(probe, "SELECT pg_logical_emit_message(true, 'sluice backfill', '')")
		cancel()
		if class := postgres.Classify(err); err != nil && class != postgres.Canceled {
			continue // away, or not allowed: the run says so itself, or goes on as without
		}
		s.rests.Store(int64(nextRest(time.Duration(s.rests.Load()), time.Since(began), s.CommitMax)))
	}
}

// nextRest is longer after a slow commit, and shorter after a quick one.
func nextRest(rest, commit, limit time.Duration) time.Duration {
	if commit > limit {
		return min(2*rest+restStep, restMax)
	}
	return max(0, rest*9/10-time.Millisecond)
}

// wait lets others commit.
func (s *spare) wait(ctx context.Context) error {
	rest := time.Duration(s.rests.Load())
	if rest == 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rest):
		return nil
	}
}
