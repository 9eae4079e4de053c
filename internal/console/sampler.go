package console

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/internal/monitor"
)

const (
	// watchedEvery and idleEvery are how often a point is taken while somebody looks
	// at the overview, and while nobody does.
	watchedEvery = 2 * time.Second
	idleEvery    = 10 * time.Second
	// pointsKept are half an hour of watched points.
	pointsKept = 900
	// rateOver is the time over which a rate is taken, so that it does not jump.
	rateOver = 10 * time.Second
	// commitMargin: a spend's id is made this long before its commit at most, as far
	// as a plot is concerned. What is newer is counted with the next point.
	commitMargin = time.Second
	// countMax bounds what one point counts, and latencySample what a percentile is of.
	countMax       = 200_000
	latencySample  = 5_000
	latencyOver    = time.Minute
	samplePatience = 5 * time.Second
)

// point is what the plots show of a moment. Numbers are for the eye only.
type point struct {
	T        int64    `json:"t"`                  // milliseconds since 1970
	Accepted *float64 `json:"accepted,omitempty"` // a second
	Finished *float64 `json:"finished,omitempty"` // a second
	Open     float64  `json:"open"`
	Oldest   *float64 `json:"oldest,omitempty"` // seconds
	Owed     *float64 `json:"owed,omitempty"`
	Median   *float64 `json:"median,omitempty"` // seconds from acceptance to the end
	Slow     *float64 `json:"slow,omitempty"`   // of one in a hundred
	Used     *float64 `json:"used,omitempty"`
	Limit    *float64 `json:"limit,omitempty"`
}

// sampler takes points for as long as the process serves.
type sampler struct {
	c *Console

	mu      sync.Mutex
	watched int
	points  []point
	counts  []tally
	shot    monitor.Snapshot
	more    chan struct{} // closed when there is another point
	wake    chan struct{}
}

// tally is how many spends there had been, since the sampler began.
type tally struct {
	at             time.Time
	accepted, open int64
}

func newSampler(c *Console) *sampler {
	return &sampler{c: c, points: []point{}, more: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Run takes the points of the overview until ctx ends. Without it the overview shows
// numbers and no plots.
func (c *Console) Run(ctx context.Context) { c.sampler.run(ctx) }

func (s *sampler) run(ctx context.Context) {
	for {
		s.sample(ctx)
		every := idleEvery
		if s.anybody() {
			every = watchedEvery
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (s *sampler) anybody() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watched > 0
}

// watch says that somebody looks, until the function it returns is called.
func (s *sampler) watch() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched++
	if s.watched == 1 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return func() { s.mu.Lock(); defer s.mu.Unlock(); s.watched-- }
}

// state returns the newest snapshot, all points, and what closes when there is more.
func (s *sampler) state() (monitor.Snapshot, []point, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shot, s.points[:len(s.points):len(s.points)], s.more
}

func (s *sampler) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, samplePatience)
	defer cancel()
	shot, err := s.c.Monitor.Snapshot(ctx)
	if err != nil && ctx.Err() != nil {
		return
	}
	p := point{T: shot.At.UnixMilli()}
	if o := shot.Outbox; o != nil {
		owed, oldest := float64(o.Owed), time.Duration(o.OldestAge).Seconds()
		p.Owed, p.Oldest = &owed, &oldest
	}
	if shot.Provider != nil {
		b := busiest(*shot.Provider)
		used, limit := float64(b.Used), float64(b.Limit)
		p.Used = &used
		if b.Limit > 0 {
			p.Limit = &limit
		}
	}
	for _, open := range shot.Open {
		p.Open += float64(open.Spends)
	}
	if shot.Reachable.PostgreSQL {
		s.rates(ctx, shot, &p)
		s.latency(ctx, shot.At, &p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.points); n > 0 && s.points[n-1].T >= p.T { // the monitor gave the same snapshot again
		return
	}
	s.shot, s.points = shot, append(s.points, p)
	if len(s.points) > pointsKept {
		s.points = append([]point(nil), s.points[len(s.points)-pointsKept:]...)
	}
	close(s.more)
	s.more = make(chan struct{})
}

// busiest returns the domain of which most calls were made in the last minute.
func busiest(p monitor.Provider) (most monitor.Budget) {
	for _, b := range p.Budgets {
		if most.Domain == "" || b.Used > most.Used {
			most = b
		}
	}
	return most
}

// rates works out how many spends were accepted and finished a second. What was
// finished follows from what was accepted and what is open.
func (s *sampler) rates(ctx context.Context, shot monitor.Snapshot, p *point) {
	now := tally{at: shot.At.Add(-commitMargin), open: int64(p.Open)}
	if n := len(s.counts); n > 0 {
		last := s.counts[n-1]
		if !now.at.After(last.at) {
			return
		}
		count, err := s.c.acceptedBetween(ctx, last.at, now.at)
		if err != nil {
			return // the plot has a gap
		}
		now.accepted = last.accepted + count
	}
	s.counts = append(s.counts, now)
	for len(s.counts) > 2 && now.at.Sub(s.counts[1].at) >= rateOver {
		s.counts = s.counts[1:]
	}
	first := s.counts[0]
	seconds := now.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return
	}
	accepted := float64(now.accepted-first.accepted) / seconds
	finished := max(0, accepted-float64(now.open-first.open)/seconds)
	p.Accepted, p.Finished = &accepted, &finished
}

// acceptedBetween counts spends by their ids, which hold their time.
func (c *Console) acceptedBetween(ctx context.Context, from, until time.Time) (count int64, err error) {
	err = c.db.GetContext(ctx, &count, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM spends WHERE id >= $1::uuid AND id < $2::uuid LIMIT %d) AS few`, countMax),
		firstID(from), firstID(until))
	return count, err
}

// latency works out how long the newest spends took from acceptance to their end.
func (s *sampler) latency(ctx context.Context, now time.Time, p *point) {
	var median, slow sql.NullFloat64
	row := s.c.db.QueryRowxContext(ctx, fmt.Sprintf(`SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY took), percentile_disc(0.99) WITHIN GROUP (ORDER BY took)
		FROM (SELECT extract(epoch FROM finished_at - accepted_at)::float8 AS took FROM spends WHERE id >= $1::uuid ORDER BY id DESC LIMIT %d) AS newest
		WHERE took IS NOT NULL`, latencySample), firstID(now.Add(-latencyOver)))
	if row.Scan(&median, &slow) == nil && median.Valid { // else the plot has a gap
		p.Median, p.Slow = &median.Float64, &slow.Float64
	}
}
