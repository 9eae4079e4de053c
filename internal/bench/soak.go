package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// What may grow by how much over a soak, and why not by less.
var (
	// The runtime gives memory back to the system late and in pieces.
	limitMemory = limit{share: 0.10, floor: 16 << 20}
	// What is live after a collection: it depends on what was under way just then.
	limitHeap = limit{share: 0.15, floor: 4 << 20}
	// One per request and delivery under way.
	limitGoroutines = limit{share: 0.05, floor: 20}
	limitFiles      = limit{share: 0.05, floor: 10}
	// Rows live for milliseconds; their space is free again after the next autovacuum,
	// which looks once a minute. Files do not shrink: only the way up is in the trend.
	limitOutbox = limit{share: 0.25, floor: 8 << 20}
	limitDead   = limit{share: 0.50, floor: 5_000}
	// Trimmed every ten seconds: a saw, whose teeth are ten seconds of the load.
	limitStream = limit{share: 0.50, floor: 8 << 20}
	// Tables that have one row per player, or fewer.
	limitTable = limit{share: 0.25, floor: 4 << 20}
)

// byDesign are the tables with rows for every spend, which are kept. A table that
// is not among them must be steady.
var byDesign = []string{"adjustments", "inventory_grants", "ledger_entries", "spends"}

const (
	// soakWarmUp is the share of a soak that does not count: pools, caches, plans and
	// tables grow to their size.
	soakWarmUp = 0.2
	// soakWarmUpMin is how long it is at least: JetStream remembers message ids for two
	// minutes, and autovacuum looks at the outbox once a minute.
	soakWarmUpMin = 3 * time.Minute
	// soakJudgedMin is the shortest soak that is judged: half of it must count.
	soakJudgedMin = 2 * soakWarmUpMin
)

// soakFrom returns from when on a soak counts, and whether it is judged.
func soakFrom(length time.Duration) (from time.Duration, judged bool) {
	from = max(soakWarmUpMin, time.Duration(soakWarmUp*float64(length)))
	return min(from, length/2), length >= soakJudgedMin
}

// series is what is sampled of one thing.
type series struct {
	what, unit string
	limit      limit
	grows      bool // by design
	samples    []sample
}

// sampler looks at a site from time to time.
type sampler struct {
	site    *Site
	started time.Time

	mu   sync.Mutex
	list []*series
	errs []error
}

func (s *sampler) note(at time.Duration, what, unit string, l limit, grows bool, value float64) {
	i := slices.IndexFunc(s.list, func(one *series) bool { return one.what == what })
	if i < 0 {
		i = len(s.list)
		s.list = append(s.list, &series{what: what, unit: unit, limit: l, grows: grows})
	}
	s.list[i].samples = append(s.list[i].samples, sample{at, value})
}

// look takes one sample of everything.
func (s *sampler) look(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Since(s.started)
	for _, role := range s.site.Roles {
		if role.Metrics == "" {
			continue
		}
		page, err := scrape(ctx, role.Metrics)
		if err != nil {
			s.errs = append(s.errs, err)
			continue
		}
		for _, gauge := range []struct {
			name, what, unit string
			limit            limit
		}{
			{"process_resident_memory_bytes", "memory", "bytes", limitMemory},
			{"go_gc_heap_live_bytes", "live heap", "bytes", limitHeap},
			{"go_goroutines", "goroutines", "", limitGoroutines},
			{"process_open_fds", "open files", "", limitFiles},
		} {
			if value, ok := page[gauge.name]; ok {
				s.note(at, gauge.what+" of "+role.Name, gauge.unit, gauge.limit, false, value)
			}
		}
	}
	s.errs = append(s.errs, s.lookAtTables(ctx, at), s.lookAtStream(ctx, at))
}

func (s *sampler) lookAtTables(ctx context.Context, at time.Duration) error {
	if s.site.DB == nil {
		return nil
	}
	tables, err := readTables(ctx, s.site.DB)
	for _, table := range tables {
		grows, l := slices.Contains(byDesign, table.Name), limitTable
		if table.Name == "outbox" {
			l = limitOutbox
			s.note(at, "dead rows of outbox", "", limitDead, false, table.Dead)
		}
		s.note(at, "table "+table.Name, "bytes", l, grows, table.Bytes)
	}
	return err
}

func (s *sampler) lookAtStream(ctx context.Context, at time.Duration) error {
	if s.site.Conn == nil {
		return nil
	}
	_, bytes, err := s.site.Conn.StreamSize(ctx)
	if err == nil {
		s.note(at, "stream", "bytes", limitStream, false, float64(bytes))
	}
	return err
}

// trends describes every series between two times since the start, and judges it.
func (s *sampler) trends(from, to time.Duration, spends float64, judged bool) []Trend {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Trend, 0, len(s.list))
	for _, one := range s.list {
		var within []sample
		for _, sample := range one.samples {
			if sample.at >= from && sample.at <= to {
				within = append(within, sample)
			}
		}
		if one.grows {
			list = append(list, grown(one.what, within, spends*float64(to-from)/float64(to)))
		} else {
			t := judge(one.what, one.unit, within, one.limit)
			t.Growing = t.Growing && judged
			list = append(list, t)
		}
	}
	return list
}

// Soak measures once while it looks at everything that could grow, and adds to the
// report how it developed. Errors: also that something could not be looked at.
func (b *Bench) Soak(ctx context.Context, every time.Duration, report *Report) error {
	if err := b.calm(ctx); err != nil {
		return err
	}
	if b.Load.WarmUp > 0 {
		if err := b.warmUp(ctx); err != nil {
			return err
		}
	}
	s := &sampler{site: b.Site, started: time.Now()}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.look(looking)
			case <-looking.Done():
				return
			}
		}
	})
	r, err := b.measure(ctx)
	stop()
	group.Wait()
	if err != nil {
		return err
	}
	r.figures(&report.Figures)
	begin := time.Duration(r.Started - s.started.UnixNano())
	length := time.Duration(r.Ended - r.Started)
	from, judged := soakFrom(length)
	report.Trends = s.trends(begin+from, begin+length, float64(len(r.named)), judged)
	if !judged {
		report.Notes = append(report.Notes, fmt.Sprintf("nothing is called growing: a soak is judged when it lasts %s or longer", soakJudgedMin))
	}
	return s.failures()
}

// failures returns what could not be looked at, except for the look that the end of
// the soak cut short.
func (s *sampler) failures() error {
	var errs []error
	for _, err := range s.errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
