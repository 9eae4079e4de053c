package access_test

import (
	"fmt"
	"testing"
)

// BenchmarkDrain measures webhooks about renewals from the outbox to the accesses,
// a thousand customers with a renewal each, without a broker.
func BenchmarkDrain(b *testing.B) {
	r := newRoad(b, flows(b))
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		b.StopTimer()
		for i := range 1000 {
			id := fmt.Sprint(events, "-", i)
			user := fmt.Sprint("user-", i)
			r.receive(b, r.event(b, "e"+id, "RENEWAL", 0, "transaction_id=t"+id, "app_user_id="+user, "aliases="+user+",$RCAnonymousID:"+user))
		}
		b.StartTimer()
		r.drain(b)
		events += 1000
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
