package broker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

func TestHandlerLongerThanAckWaitIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	d := charge
	d.AckWait, d.MaxInFlight = 300*time.Millisecond, 8
	c := start(t, d)
	const n = 32
	var got tally
	runRouter(t, c, d, func(m *message.Message) error {
		got.add(m.UUID)
		time.Sleep(4 * d.AckWait) //nolint:forbidigo // the handler's work, longer than AckWait
		return nil
	})
	publishMany(t, c, chargeSubject, "m", n)
	eventually(t, func() bool { i := state(t, c, d); return i.NumPending == 0 && i.NumAckPending == 0 }, "all finished")
	require.Equal(t, n, got.len())
	for id, times := range got.n {
		require.Equal(t, 1, times, id)
	}
	require.EqualValues(t, n, state(t, c, d).Delivered.Consumer, "deliveries the server counted")
}

func TestNothingIsFetchedBeyondFreeHandlers(t *testing.T) {
	t.Parallel()
	d := charge
	d.MaxInFlight = 4
	c := start(t, d)
	publishMany(t, c, chargeSubject, "m", 100)
	msgs := subscribe(t, c, d)
	held := make([]*message.Message, 0, 100)
	for len(held) < 4 {
		held = append(held, next(t, msgs))
	}
	for range 96 {
		// The server takes acks and pull requests from two queues, so it may count
		// one ack late.
		eventually(t, func() bool { return state(t, c, d).NumAckPending == 4 }, "as many as handlers")
		require.True(t, held[0].Ack())
		held = append(held[1:], next(t, msgs))
	}
	for _, m := range held {
		m.Ack()
	}
}

func TestRepeatedHeaderSurvives(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	m := nats.NewMsg(chargeSubject)
	m.Header["Traceparent"] = []string{"first", "second"}
	m.Header["Status"] = []string{"503"} // looks like the server's word on a pull request
	_, err := c.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)

	got := next(t, subscribe(t, c, charge))
	require.Equal(t, "first", got.Metadata.Get("Traceparent"))
	require.Equal(t, "1", got.UUID, "without a Nats-Msg-Id the sequence names it")
	require.Empty(t, got.Payload)
	got.Ack()
}

func TestNakDelayIsHonoured(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	msgs := subscribe(t, c, charge)
	publish(t, c, chargeSubject, "m")

	first := next(t, msgs)
	require.Equal(t, 1, Deliveries(first))
	require.EqualValues(t, 1, sequence(first))
	const delay = 700 * time.Millisecond
	NakAfter(first, time.Hour)
	NakAfter(first, delay) // the last word counts
	nacked := time.Now()
	first.Nack()

	second := next(t, msgs)
	require.GreaterOrEqual(t, time.Since(nacked), delay)
	require.Equal(t, 2, Deliveries(second))
	nacked = time.Now()
	second.Nack()

	third := next(t, msgs)
	require.Less(t, time.Since(nacked), charge.ackWait(), "a nack without delay comes at once")
	require.Equal(t, 3, Deliveries(third))
	third.Ack()
}

func TestForeignMessagesHaveNoDelivery(t *testing.T) {
	t.Parallel()
	m := message.NewMessage("x", nil)
	NakAfter(m, time.Second)
	require.Zero(t, Deliveries(m))
	require.Zero(t, sequence(m))
}

// A shutdown is never a failure: what runs is finished with a living context and
// acked; what no handler took is for another process at once, not after AckWait.
func TestShutdownFinishesWhatRunsAndReturnsTheRest(t *testing.T) {
	t.Parallel()
	d := charge
	d.MaxInFlight, d.AckWait = 8, time.Hour
	c := start(t, d)
	s, err := NewSubscriber(c, d, SubscriberConfig{DrainTimeout: patience})
	require.NoError(t, err)
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	msgs, err := s.Subscribe(ctx, d.Name())
	require.NoError(t, err)
	publishMany(t, c, chargeSubject, "m", 8)
	running := []*message.Message{next(t, msgs), next(t, msgs)}
	eventually(t, func() bool { return state(t, c, d).NumAckPending == 8 }, "six wait for a handler here")

	cancel()
	<-s.subs[0].stopping
	late := 0
	for m := range msgs { // closed while two still run; one may just have been offered
		late++
		m.Nack()
	}
	require.LessOrEqual(t, late, 1)
	for _, m := range running {
		require.NoError(t, m.Context().Err(), "a running handler's context lives on")
		require.Equal(t, "value", m.Context().Value(key{}))
	}

	others := subscribe(t, c, d) // another process
	for range 6 {
		m := next(t, others)
		require.NotContains(t, []string{running[0].UUID, running[1].UUID}, m.UUID)
		m.Ack()
	}
	for _, m := range running {
		m.Ack()
		<-m.Context().Done()
	}
	require.NoError(t, s.Close())
	eventually(t, func() bool { i := state(t, c, d); return i.NumPending == 0 && i.NumAckPending == 0 }, "nothing left")
}

func TestDrainTimeoutCancelsHandlers(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	s, err := NewSubscriber(c, charge, SubscriberConfig{DrainTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	msgs, err := s.Subscribe(t.Context(), charge.Name())
	require.NoError(t, err)
	publishMany(t, c, chargeSubject, "m", 2)
	polite, stuck := next(t, msgs), next(t, msgs)
	go func() {
		<-polite.Context().Done()
		polite.Nack()
	}()
	require.NoError(t, s.Close())
	require.Error(t, stuck.Context().Err())

	// The polite one comes again at once, the stuck one after AckWait.
	m := next(t, subscribe(t, c, charge))
	require.Equal(t, polite.UUID, m.UUID)
	m.Ack()
}

func TestRestartsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	d := charge
	d.AckWait = time.Hour // nothing may depend on it
	c := start(t, d)
	const n, restarts = 3000, 15
	publishMany(t, c, chargeSubject, "m", n)
	var got tally
	for range restarts {
		ctx, cancel := context.WithCancel(t.Context())
		router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
		require.NoError(t, err)
		s, err := NewSubscriber(c, d, SubscriberConfig{})
		require.NoError(t, err)
		before := got.len()
		var reached sync.Once
		router.AddConsumerHandler("h", d.Name(), s, func(m *message.Message) error {
			got.add(m.UUID)
			if got.len() >= before+n/(2*restarts) {
				reached.Do(cancel) // like SIGTERM
			}
			return nil
		})
		require.NoError(t, router.Run(ctx))
		cancel()
	}
	runRouter(t, c, d, func(m *message.Message) error { got.add(m.UUID); return nil })
	eventually(t, func() bool { i := state(t, c, d); return i.NumPending == 0 && i.NumAckPending == 0 }, "nothing is left to AckWait")
	require.Equal(t, n, got.len())
}

// The server hands a message out again although its handler still runs, as after a
// network outage: no second handler is started, and the first one's ack counts.
func TestRedeliveryToARunningHandlerStartsNoSecond(t *testing.T) {
	t.Parallel()
	d := charge
	d.AckWait = time.Hour
	c := start(t, d)
	msgs := subscribe(t, c, d)
	publish(t, c, chargeSubject, "m")
	m := next(t, msgs)
	delivery, ok := deliveryOf(m)
	require.True(t, ok)
	require.NoError(t, c.nc.Publish(delivery.reply, answerNak)) // behind the handler's back
	eventually(t, func() bool { return state(t, c, d).Delivered.Consumer == 2 }, "redelivered")
	publish(t, c, chargeSubject, "next")
	other := next(t, msgs)
	require.Equal(t, "next", other.UUID)
	other.Ack()
	m.Ack()
	eventually(t, func() bool { return state(t, c, d).NumAckPending == 0 }, "acked")
}

func TestSubscriberRefusesAnotherTopic(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	s, err := NewSubscriber(c, charge, SubscriberConfig{})
	require.NoError(t, err)
	_, err = s.Subscribe(t.Context(), "fulfil")
	require.ErrorContains(t, err, `"adjust"`)
	require.NoError(t, s.Close())
	_, err = s.Subscribe(t.Context(), "adjust")
	require.ErrorIs(t, err, ErrClosed)
	_, err = NewSubscriber(c, Durable{Consumer: "nothing"}, SubscriberConfig{})
	require.Error(t, err, "no types would mean everything")
}

// Two processes share a durable's work, and its lanes are apart.
func TestProcessesShareADurable(t *testing.T) {
	t.Parallel()
	d := Durable{Consumer: "access", Lane: events.Store, Types: []events.Type{"purchase.recorded.v1", "purchase.claimed.v1"}, MaxInFlight: 2}
	require.Equal(t, "access_store", d.Name())
	server := startServer(t)
	c, c2 := connect(t, server.URL()), connect(t, server.URL())
	require.NoError(t, c.Reconcile(t.Context(), []Durable{d, charge}))
	var got tally
	var first, second atomic.Int64
	runRouter(t, c, d, func(m *message.Message) error { first.Add(1); got.add(m.UUID); return nil })
	runRouter(t, c2, d, func(m *message.Message) error { second.Add(1); got.add(m.UUID); return nil })
	publish(t, c, chargeSubject, "not ours")
	for i, typ := range d.Types {
		publishMany(t, c, events.SubjectOf(events.Store, typ, i), fmt.Sprint("t", i, "-"), 200)
	}
	eventually(t, func() bool { return got.len() == 400 }, "all handled")
	require.EqualValues(t, 400, first.Load()+second.Load())
	require.Positive(t, first.Load())
	require.Positive(t, second.Load())
}
