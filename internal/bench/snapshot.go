package bench

import (
	"context"
	"time"
)

// snapshot is what everything has counted until a moment. What is not known is
// missing.
type snapshot struct {
	at        time.Time
	cpu       map[string]time.Duration // by role, and of postgres, simulator, bench
	machine   *machine
	metrics   []metrics // of the roles that have them
	postgres  *counters
	simulator *providerStats
}

// Names beside those of the roles.
const (
	ofPostgres  = "postgres"
	ofSimulator = "simulator"
	ofBench     = "bench" // this process, which looks on
)

// readCPU reads who has used how much CPU; what cannot be read is left out.
func (s *Site) readCPU(pid int) (map[string]time.Duration, *machine) {
	used := map[string]time.Duration{}
	note := func(name string, pid int, whole bool) {
		if pid == 0 {
			return
		}
		if d, err := cpuOf(pid, whole); err == nil {
			used[name] = d
		}
	}
	for _, role := range s.Roles {
		note(role.Name, role.PID, false)
	}
	if s.Simulator != nil {
		note(ofSimulator, s.Simulator.PID, false)
	}
	if s.Postgres != nil {
		note(ofPostgres, s.Postgres.PID(), true)
		note(ofBench, pid, false)
	}
	m, err := readMachine()
	if err != nil || s.Postgres == nil { // the service is elsewhere: this machine's CPU says nothing
		return used, nil
	}
	return used, &m
}

// FindMetrics looks whether the API shows its /metrics, as the service of a site
// that is not ours.
func (s *Site) FindMetrics(ctx context.Context) {
	if _, err := scrape(ctx, s.url("/metrics")); err == nil {
		s.Roles = []Role{{Name: "service", Metrics: s.url("/metrics")}}
	}
}

// snapshot reads all counters. Whoever answers a question uses CPU: the CPU is
// read last before a load and first after it.
func (s *Site) snapshot(ctx context.Context, pid int, after bool) (snapshot, error) {
	var shot snapshot
	if after {
		shot.at = time.Now()
		shot.cpu, shot.machine = s.readCPU(pid)
	}
	for _, role := range s.Roles {
		if role.Metrics == "" {
			continue
		}
		page, err := scrape(ctx, role.Metrics)
		if err != nil {
			return shot, err
		}
		shot.metrics = append(shot.metrics, page)
	}
	if s.DB != nil {
		c, err := readCounters(ctx, s.DB)
		if err != nil {
			return shot, err
		}
		shot.postgres = &c
	}
	if s.Simulator != nil {
		stats, err := s.Simulator.control.stats(ctx, false)
		if err != nil {
			return shot, err
		}
		shot.simulator = &stats
	}
	if !after {
		shot.at = time.Now()
		shot.cpu, shot.machine = s.readCPU(pid)
	}
	return shot, nil
}
