package access_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// renewals receives so many renewals of a quarter as many customers, each with a new
// anonymous id.
func (r *road) renewals(b *testing.B, world string, n int) {
	b.Helper()
	var receiving sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		receiving.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				id, user := fmt.Sprint(world, "-", i), fmt.Sprint(world, "-user-", i%(n/4))
				r.receive(b, r.event(b, "e"+id, "RENEWAL", 0, "transaction_id=t"+id, "app_user_id="+user, "aliases="+user+",$RCAnonymousID:"+user))
			}
		})
	}
	receiving.Wait()
}

// BenchmarkDrain measures webhooks about renewals from the outbox to the accesses,
// without a broker.
//
//	go test -run '^$' -bench 'Drain$' -benchtime 5x ./consumers/access
func BenchmarkDrain(b *testing.B) {
	r := newRoad(b, flows(b))
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		b.StopTimer()
		r.renewals(b, strconv.Itoa(events), 1000)
		b.StartTimer()
		r.drain(b)
		events += 1000
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkDrainBesideSpends measures what a drain costs players: a hundred spends a
// second are committed, by a committer of their own as in cmd/sluice, first alone and
// then beside a drain.
//
//	go test -run '^$' -bench DrainBesideSpends -benchtime 3x ./consumers/access
func BenchmarkDrainBesideSpends(b *testing.B) {
	r := newRoad(b, flows(b))
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: r.db, Subscriptions: outbox.Subscriptions{events.SpendRequestedV1: {"adjust"}}})
	defer committer.Close()
	var alone, beside []time.Duration
	var drained time.Duration
	n := 0
	for b.Loop() {
		n++
		world := strconv.Itoa(n)
		r.renewals(b, world, 8000)
		ended := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(ended) })
		alone = append(alone, spends(b, committer, ended)...)
		ended = make(chan struct{})
		spent := make(chan []time.Duration)
		go func() { spent <- spends(b, committer, ended) }()
		began := time.Now()
		r.drain(b)
		drained += time.Since(began)
		close(ended)
		beside = append(beside, <-spent...)
	}
	for name, times := range map[string][]time.Duration{"alone": alone, "beside": beside} {
		slices.Sort(times)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(times[len(times)*p/100].Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
		}
	}
	b.ReportMetric(float64(8000*n)/drained.Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}

// spends commits a hundred spends a second until ended, and returns how long each took
// since it was due.
func spends(b *testing.B, committer *outbox.Committer, ended <-chan struct{}) (took []time.Duration) {
	b.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-ended:
			running.Wait()
			return took
		case at := <-beat.C:
			running.Go(func() {
				id := outbox.NewID()
				_, err := committer.Commit(b.Context(), outbox.Effects{
					Guard: books.Accept{Spend: economy.Spend{
						ID: id, AppUserID: id, IdempotencyKey: "k", Item: "sword", Quantity: 1, Cost: economy.Amounts{"GEM": 1}, CatalogVersion: 1,
						State: economy.Requested, AcceptedAt: at.UTC().Truncate(time.Microsecond),
					}},
					Events: []events.Event{events.NewSpendRequested(id, id, at.UTC())}, Owner: id, Intake: true,
				})
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(at))
			})
		}
	}
}
