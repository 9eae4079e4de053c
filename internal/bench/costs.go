package bench

import "time"

// costs tells what a spend cost, from rest to rest.
func (r *result) costs(f *Figures) {
	n := float64(len(r.named))
	if n == 0 {
		return
	}
	per := func(key, label, unit string, value float64) {
		f.add(sectionCost, key+"_per_spend", label, unit, value/n)
	}
	micros := func(name string) (float64, bool) {
		was, ok := r.before.cpu[name]
		return float64((r.after.cpu[name] - was).Microseconds()), ok
	}
	service := 0.0
	for _, role := range r.roles {
		if used, ok := micros(role.Name); ok {
			service += used
			if len(r.roles) > 1 {
				per("cpu_us_"+role.Name, "CPU of "+role.Name, "us", used)
			}
		}
	}
	if r.after.machine != nil {
		postgres, _ := micros(ofPostgres)
		simulator, _ := micros(ofSimulator)
		per("cpu_us_service", "CPU of the service", "us", service)
		per("cpu_us_postgres", "CPU of PostgreSQL", "us", postgres)
		per("cpu_us_service_and_postgres", "both", "us", service+postgres)
		per("cpu_us_simulator", "CPU of the simulator", "us", simulator)
		per("cpu_us_generator", "CPU of the load generator", "us", float64(r.cpu.Microseconds()))
	}
	if r.before.postgres != nil {
		per("wal_bytes", "log of PostgreSQL", "bytes", r.after.postgres.WAL-r.before.postgres.WAL)
		f.add(sectionCost, "wal_pages", "whole pages in that log, in all", "", r.after.postgres.Pages-r.before.postgres.Pages)
	}
	if r.before.simulator != nil {
		per("provider_calls", "calls of the provider", "", float64(r.after.simulator.Calls-r.before.simulator.Calls))
	}
	grown := r.grown()
	if grown("go_memstats_mallocs_total") > 0 {
		per("allocations", "allocations of the service", "", grown("go_memstats_mallocs_total"))
		per("allocated_bytes", "allocated by the service", "bytes", grown("go_memstats_alloc_bytes_total"))
	}
	if collecting := grown("go_cpu_classes_gc_total_cpu_seconds_total"); collecting > 0 && service > 0 {
		f.add(sectionCost, "gc_share", "of the service's CPU: collecting garbage", "%", 100*collecting*1e6/service)
	}
}

// grown returns by how much a counter of the service grew, over its processes.
func (r *result) grown() func(name string) float64 {
	before, after := added(r.before.metrics...), added(r.after.metrics...)
	return func(name string) float64 { return after.sum(name) - before.sum(name) }
}

// shares tells who had the machine's CPUs while the load lasted.
func (r *result) shares(f *Figures) {
	was, is := r.before.machine, r.whileLoaded.machine
	if was == nil || is == nil || is.total == was.total {
		return
	}
	total, known := float64(is.total-was.total), 0.0
	share := func(key, label string, used time.Duration) {
		f.add(sectionShares, "share_"+key, label, "%", 100*float64(used)/total)
	}
	ours := func(key, label string, used time.Duration) {
		known += float64(used)
		share(key, label, used)
	}
	var service time.Duration
	for _, role := range r.roles {
		service += r.whileLoaded.cpu[role.Name] - r.before.cpu[role.Name]
	}
	grew := func(name string) time.Duration { return r.whileLoaded.cpu[name] - r.before.cpu[name] }
	ours("service", "service", service)
	ours("postgres", "PostgreSQL", grew(ofPostgres))
	ours("simulator", "simulator", grew(ofSimulator))
	ours("generator", "load generator", r.cpu)
	ours("bench", "this bench, which looks on", grew(ofBench))
	share("other", "others, the kernel's threads among them", max(0, is.busy-was.busy-time.Duration(known)))
	share("stolen", "taken by the host", is.stolen-was.stolen)
}

// commits tells how well the group committer gathered.
func (r *result) commits(f *Figures) {
	grown, length := r.grown(), r.after.at.Sub(r.before.at).Seconds()
	if batches := grown("sluice_outbox_batch_effects_count"); batches > 0 {
		f.add(sectionCommits, "effects_per_commit", "effects in one commit, mean", "", grown("sluice_outbox_batch_effects_sum")/batches)
		f.add(sectionCommits, "commits_per_second", "commits, until nothing was left", "1/s", batches/length)
	}
	if r.before.postgres != nil && len(r.named) > 0 {
		f.add(sectionCommits, "transactions_per_spend", "transactions of PostgreSQL per spend, reads among them", "",
			(r.after.postgres.Commits-r.before.postgres.Commits)/float64(len(r.named)))
	}
	if swept := grown("sluice_outbox_swept_total"); swept > 0 {
		f.add(sectionCommits, "swept", "deliveries that the sweeper published", "", swept)
	}
}
