package broker

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
)

// A spend event is some 300 bytes.
var benchPayload = make([]byte, 300)

func BenchmarkPublish(b *testing.B) {
	c := start(b, charge)
	var wg sync.WaitGroup
	var failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		wg.Add(1)
		c.Publish(chargeSubject, fmt.Sprint("m", i), benchPayload, nil, func(err error) {
			if err != nil {
				failed.Add(1)
			}
			wg.Done()
		})
	}
	wg.Wait()
	b.StopTimer()
	require.Zero(b, failed.Load())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkConsume reads a backlog through watermill's Router with handlers that
// do nothing.
func BenchmarkConsume(b *testing.B) {
	for _, slots := range []int{16, 64, 256} {
		b.Run(fmt.Sprint("slots=", slots), func(b *testing.B) { benchConsume(b, slots, 0) })
	}
}

// BenchmarkConsumeBusy is the same with handlers that take 5 ms, so that slots
// become free one by one. The bound is 51,200/s.
func BenchmarkConsumeBusy(b *testing.B) { benchConsume(b, 256, 5*time.Millisecond) }

func benchConsume(b *testing.B, slots int, work time.Duration) {
	b.Helper()
	d := charge
	d.MaxInFlight = slots
	c := start(b, d)
	var wg sync.WaitGroup
	wg.Add(b.N)
	for i := range b.N {
		c.Publish(chargeSubject, fmt.Sprint("m", i), benchPayload, nil, func(error) { wg.Done() })
	}
	wg.Wait()

	left := atomic.Int64{}
	left.Store(int64(b.N))
	all := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	runRouter(b, c, d, func(*message.Message) error {
		if work > 0 {
			time.Sleep(work) //nolint:forbidigo // it is the work: a handler that waits for somebody
		}
		if left.Add(-1) == 0 {
			close(all)
		}
		return nil
	})
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkLatency measures from Publish to the handler, one message at a time.
func BenchmarkLatency(b *testing.B) {
	c := start(b, charge)
	arrived := make(chan struct{}, 1)
	runRouter(b, c, charge, func(*message.Message) error { arrived <- struct{}{}; return nil })
	publish(b, c, chargeSubject, "warm")
	<-arrived
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		c.Publish(chargeSubject, fmt.Sprint("m", i), benchPayload, nil, func(error) {})
		<-arrived
		took[i] = time.Since(began)
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// runRouter handles d's messages until the test ends.
func runRouter(t testing.TB, c *Conn, d Durable, handle message.NoPublishHandlerFunc) {
	t.Helper()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
	require.NoError(t, err)
	sub, err := NewSubscriber(c, d, SubscriberConfig{})
	require.NoError(t, err)
	router.AddConsumerHandler(d.Name(), d.Name(), sub, handle)
	ran := make(chan error, 1)
	go func() { ran <- router.Run(t.Context()) }()
	t.Cleanup(func() {
		require.NoError(t, router.Close())
		require.NoError(t, <-ran)
	})
	<-router.Running()
}
