package bench

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/bench/load"
)

// result is a run with everything that is known of it.
type result struct {
	*phase
	before, whileLoaded, after snapshot
	roles                      []Role
	open                       bool
	spends                     []ended
}

// ended is a spend of the load that came to its end.
type ended struct {
	load.Record
	times
	end int64 // when the commit that ended it was seen; from its row where it was not seen
}

// outcomes finds out how the spends of the load ended.
func (b *Bench) outcomes(ctx context.Context, r *result) error {
	seen := r.watched.seen(&r.watched.ended)
	note := func(t times) {
		at, ours := r.named[t.ID]
		if !ours || t.Finished == nil {
			return
		}
		end, ok := seen[t.ID]
		if !ok {
			end = t.Finished.UnixNano()
		}
		r.spends = append(r.spends, ended{r.records[at], t, end})
	}
	if b.Site.DB != nil {
		return eachSince(ctx, b.Site.DB, r.mark, note)
	}
	return b.askOutcomes(ctx, r, note)
}

// lateAfter is how late a request may be sent without being called late: what a
// busy machine needs to run a process.
const lateAfter = time.Millisecond

// figures adds what the run has shown.
func (r *result) figures(f *Figures) {
	r.rates(f)
	r.latencies(f)
	r.costs(f)
	r.shares(f)
	r.commits(f)
}

func (r *result) rates(f *Figures) {
	length := time.Duration(r.Ended - r.Started).Seconds()
	accepted, inTime, refused, late := 0.0, 0.0, 0.0, 0.0
	others := map[int]float64{} // by status
	for _, record := range r.records {
		switch {
		case record.Accepted():
			accepted++
			if record.Answered <= r.Ended {
				inTime++
			}
		case record.Status == http.StatusTooManyRequests, record.Status == http.StatusServiceUnavailable:
			refused++
		case record.Status != 0:
			others[record.Status]++
		}
		if record.Sent-record.Intended > int64(lateAfter) {
			late++
		}
	}
	fulfilled, whileLoaded, left, last := 0.0, 0.0, 0.0, r.Ended
	ends := map[string]float64{}
	for _, s := range r.spends {
		ends[s.State]++
		last = max(last, s.end)
		if s.end > r.Ended {
			left++
		}
		if economy.State(s.State) == economy.Fulfilled {
			fulfilled++
			if s.end <= r.Ended {
				whileLoaded++
			}
		}
	}
	rest := time.Duration(last - r.Ended).Seconds()
	f.add(sectionRates, "accepted_per_second", "accepted (durable)", "1/s", inTime/length)
	f.add(sectionRates, "fulfilled_while_loaded_per_second", "fulfilled while loaded", "1/s", whileLoaded/length)
	f.add(sectionRates, "fulfilled_overall_per_second", "fulfilled until nothing was left", "1/s", fulfilled/(length+rest))
	f.add(sectionRates, "left_after_load", "left after load", "", left)
	f.add(sectionRates, keyDrained, "left after load, drained in", "s", rest)
	f.add(sectionRates, "requests", "requests", "", float64(r.Sent))
	f.add(sectionRates, keyAccepted, "answered with an accepted spend", "", accepted)
	if r.open {
		f.add(sectionRates, "sent_late", "sent more than 1 ms late", "", late)
	}
	f.add(sectionRates, "refused_for_now", "answered 429 or 503", "", refused)
	f.addOthers(others)
	f.add(sectionRates, "unanswered", "without an answer", "", float64(r.Broken))
	for _, state := range []economy.State{economy.Declined, economy.Refunded} {
		if n := ends[string(state)]; n > 0 {
			f.add(sectionRates, string(state), string(state), "", n)
		}
	}
}

// addOthers adds the answers that are neither an accepted spend nor a request to come
// again later: all of them, and of each status.
func (f *Figures) addOthers(byStatus map[int]float64) {
	sum := 0.0
	for _, n := range byStatus {
		sum += n
	}
	f.add(sectionRates, "other_answers", "other answers", "", sum)
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		f.add(sectionRates, fmt.Sprintf("other_answers_%d", status), fmt.Sprintf("other answers: %d", status), "", byStatus[status])
	}
}

// latencies tells the hops. What is counted from the intended time of sending
// includes what a request waited because the service was slow.
func (r *result) latencies(f *Figures) {
	hops := map[string]*Histogram{}
	hop := func(name string, from, to int64) {
		if hops[name] == nil {
			hops[name] = &Histogram{}
		}
		hops[name].Add(time.Duration(to - from))
	}
	for _, record := range r.records {
		if record.Accepted() {
			hop("http", record.Intended, record.Answered)
		}
	}
	published, charged := r.watched.seen(&r.watched.published), r.watched.seen(&r.watched.charged)
	for _, s := range r.spends {
		if !s.Record.Accepted() {
			continue
		}
		accepted := s.times.Accepted.UnixNano()
		hop("committed", accepted, s.Answered)
		publishedAt, seenPublished := published[s.times.ID]
		chargedAt, seenCharged := charged[s.times.ID]
		if seenPublished {
			hop("published", accepted, publishedAt)
		}
		if seenPublished && seenCharged {
			hop("charged", publishedAt, chargedAt)
		}
		if economy.State(s.State) != economy.Fulfilled {
			continue
		}
		if seenCharged {
			hop("fulfilled", chargedAt, s.end)
		}
		hop("accepted_to_fulfilled", accepted, s.end)
		hop("total", s.Intended, s.end)
	}
	for _, row := range []struct{ key, label string }{
		{"http", "sent -> answered"},
		{"committed", "accepted -> committed and answered"},
		{"published", "accepted -> published *"},
		{"charged", "published -> charged *"},
		{"fulfilled", "charged -> fulfilled *"},
		{"accepted_to_fulfilled", "accepted -> fulfilled"},
		{"total", "sent -> fulfilled"},
	} {
		if h := hops[row.key]; h != nil {
			f.addLatency(row.key, row.label, h)
		}
	}
}

// noisyAbove is the share of the machine that others may have before its figures
// are no longer to be compared: on a quiet machine the kernel's threads take up to
// 12 % of it, 18 % in a storm of single commits (2 CPUs, PostgreSQL on the same).
const noisyAbove = 15.0

// Noise says so when others used the machine; "": it was quiet.
func (f Figures) Noise() string {
	other, stolen := f.Of("share_other"), f.Of("share_stolen")
	if other == nil || other.Max+stolen.Max <= noisyAbove {
		return ""
	}
	return fmt.Sprintf("the machine was not quiet: up to %.0f %% of its CPU went to others and %.0f %% to the host; compare ratios of one run only",
		other.Max, stolen.Max)
}
