package broker

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

func TestReconcileIsIdempotentAndConcurrent(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	durables := []Durable{charge, {Consumer: "mirror", Lane: events.Store, Types: []events.Type{"purchase.recorded.v1"}}}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		c := connect(t, server.URL())
		wg.Go(func() { errs <- c.Reconcile(t.Context(), durables) })
	}
	wg.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	c := connect(t, server.URL())
	publish(t, c, chargeSubject, "m")
	eventually(t, func() bool { return state(t, c, charge).NumPending == 1 }, "pending")

	wider := charge // a new version of the consumer wants one more fact
	wider.Types = append(wider.Types, events.SpendChargedV1)
	require.NoError(t, c.Reconcile(t.Context(), []Durable{wider}))
	info := state(t, c, charge)
	require.Len(t, info.Config.FilterSubjects, 2)
	require.EqualValues(t, 1, info.NumPending, "an update keeps the place")
	require.Equal(t, jetstream.AckExplicitPolicy, info.Config.AckPolicy)
	require.Equal(t, -1, info.Config.MaxDeliver)

	require.NoError(t, c.Retire(t.Context(), "adjust"))
	require.NoError(t, c.Retire(t.Context(), "adjust"))
	_, err := c.js.Consumer(t.Context(), StreamName, "adjust")
	require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
}

func TestNoticesAreNotInTheStream(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	stream, err := c.js.Stream(t.Context(), StreamName)
	require.NoError(t, err)
	require.Equal(t, []string{"sluice.live.>", "sluice.store.>", "sluice.bulk.>"}, stream.CachedInfo().Config.Subjects)
	require.Equal(t, jetstream.DiscardNew, stream.CachedInfo().Config.Discard)
}

// Promise 5, this room's part: the whole stream is deleted under load, and
// publishing and consuming go on without anybody doing anything. What was in it is
// the outbox's to publish again.
func TestWipedStreamUnderLoadHeals(t *testing.T) {
	t.Parallel()
	wipe(t, func(c *Conn) { require.NoError(t, c.js.DeleteStream(t.Context(), StreamName)) })
}

func TestDeletedDurableUnderLoadHeals(t *testing.T) {
	t.Parallel()
	wipe(t, func(c *Conn) {
		require.NoError(t, c.js.DeleteConsumer(t.Context(), StreamName, charge.Name()))
	})
}

func wipe(t *testing.T, destroy func(*Conn)) {
	t.Helper()
	server := startServer(t)
	producer, worker, vandal := connect(t, server.URL()), connect(t, server.URL()), connect(t, server.URL())
	require.NoError(t, producer.Reconcile(t.Context(), nil)) // knows only the stream
	var got tally
	runRouter(t, worker, charge, func(m *message.Message) error { got.add(m.UUID); return nil })

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent atomic.Int64
	for p := range 4 {
		load.Go(func() {
			pace := time.NewTicker(time.Millisecond) // a new durable starts at the first message and must catch up
			defer pace.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-pace.C
				if tryPublish(producer, chargeSubject, fmt.Sprint("load", p, "-", i)) == nil {
					sent.Add(1)
				}
			}
		})
	}
	for round := range 5 {
		before, handled := sent.Load(), got.len()
		eventually(t, func() bool { return sent.Load() > before+200 && got.len() > handled+200 }, "load")
		destroy(vandal)
		// Healed: what is published now is handled.
		probe := fmt.Sprint("probe", round)
		eventually(t, func() bool { return tryPublish(producer, chargeSubject, probe) == nil }, "publishing again")
		eventually(t, func() bool { return got.has(probe) }, "consuming again")
	}
	cancel()
	load.Wait()
	eventually(t, func() bool { i := state(t, worker, charge); return i.NumPending == 0 && i.NumAckPending == 0 }, "caught up")
}

// An ack of a message from before the wipe must not finish the one that now has
// its sequence.
func TestAckFromBeforeAWipeIsNotSent(t *testing.T) {
	t.Parallel()
	d := charge
	d.AckWait = time.Hour
	c := start(t, d)
	msgs := subscribe(t, c, d)
	publish(t, c, chargeSubject, "old")
	old := next(t, msgs)
	require.NoError(t, c.js.DeleteStream(t.Context(), StreamName))
	eventually(t, func() bool { return tryPublish(c, chargeSubject, "new") == nil }, "healed")
	fresh := next(t, msgs)
	require.Equal(t, "new", fresh.UUID)
	require.Equal(t, sequence(old), sequence(fresh))
	old.Ack()
	publish(t, c, chargeSubject, "marker")
	marker := next(t, msgs)
	marker.Ack()
	eventually(t, func() bool { return state(t, c, d).NumAckPending <= 1 }, "marker acked")
	require.Equal(t, 1, state(t, c, d).NumAckPending, "the new one is still ours")
	fresh.Ack()
	eventually(t, func() bool { return state(t, c, d).NumAckPending == 0 }, "acked")
}

// A process starts while NATS is down, and works once it is there.
func TestStartWhileNATSIsDown(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	r.server.Stop()
	c := connect(t, r.url)
	require.False(t, c.Connected())
	require.Equal(t, "reconnecting", c.Status())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, c.Reconcile(ctx, []Durable{charge}))
	require.Error(t, tryPublish(c, chargeSubject, "too early"), "nothing is kept in hiding")
	msgs := subscribe(t, c, charge)

	r.start(t)
	eventually(t, c.Connected, "connected")
	require.Equal(t, "connected", c.Status())
	eventually(t, func() bool { return tryPublish(c, chargeSubject, "m") == nil }, "published")
	m := next(t, msgs)
	require.Equal(t, "m", m.UUID)
	m.Ack()
}

// The server restarts and its store is gone: everything is made anew.
func TestStoreDeletedBetweenTwoRuns(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	c := connect(t, r.url)
	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge}))
	msgs := subscribe(t, c, charge)
	publish(t, c, chargeSubject, "before")
	before := next(t, msgs)

	r.server.Stop()
	require.NoError(t, os.RemoveAll(r.cfg.StoreDir))
	r.start(t)
	eventually(t, func() bool { return tryPublish(c, chargeSubject, "after") == nil }, "published")
	after := next(t, msgs)
	require.Equal(t, "after", after.UUID)
	before.Ack()
	after.Ack()
}

// The server restarts twice while messages are published and handled: whatever was
// reported stored is handled.
func TestServerRestartsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	c := connect(t, r.url)
	d := charge
	d.AckWait = 2 * time.Second // acks that were on their way
	require.NoError(t, c.Reconcile(t.Context(), []Durable{d}))
	var got, stored tally
	runRouter(t, c, d, func(m *message.Message) error { got.add(m.UUID); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for p := range 8 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if id := fmt.Sprint(p, "-", i); tryPublish(c, chargeSubject, id) == nil {
					stored.add(id)
				}
			}
		})
	}
	for range 2 {
		before := stored.len()
		eventually(t, func() bool { return stored.len() > before+1000 }, "load")
		r.server.Stop()
		r.start(t)
	}
	before := stored.len()
	eventually(t, func() bool { return stored.len() > before+1000 }, "load")
	cancel()
	load.Wait()
	eventually(t, func() bool { i := state(t, c, d); return i.NumPending == 0 && i.NumAckPending == 0 }, "caught up")
	for id := range stored.n {
		require.True(t, got.has(id), id)
	}
}

// The server restarts with its store: what was in flight comes again or goes on.
func TestServerRestartKeepsMessages(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	c := connect(t, r.url)
	d := charge
	d.AckWait = time.Second
	require.NoError(t, c.Reconcile(t.Context(), []Durable{d}))
	msgs := subscribe(t, c, d)
	publish(t, c, chargeSubject, "m")
	m := next(t, msgs)
	r.server.Stop()
	r.start(t)
	publish := func() bool { return tryPublish(c, chargeSubject, "n") == nil }
	eventually(t, publish, "published")
	n := next(t, msgs)
	require.Equal(t, "n", n.UUID, "the first still runs and is not started twice")
	n.Ack()
	m.Ack()
	eventually(t, func() bool { return state(t, c, d).NumAckPending == 0 }, "acked")
}

// The files are deleted under the running server: it goes on with what it has open
// until the next file, then takes no message any more and does not say so.
func TestFilesDeletedUnderTheServerHeal(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	c := connect(t, r.url)
	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge}))
	require.NoError(t, os.RemoveAll(r.cfg.StoreDir))
	big := make([]byte, 1<<19)
	frozen := false
	for range 64 { // 32 MiB, more than one file
		done := make(chan error, 1)
		c.Publish(chargeSubject, "", big, nil, func(err error) { done <- err })
		if <-done != nil {
			frozen = true
			break
		}
	}
	require.True(t, frozen, "this server survives it; thaw may go")
	msgs := subscribe(t, c, charge)
	eventually(t, func() bool { return tryPublish(c, chargeSubject, "after") == nil }, "thawed")
	m := next(t, msgs)
	for m.UUID != "after" { // what could still be read of the old stream
		m.Ack()
		m = next(t, msgs)
	}
	m.Ack()
}

func TestEmbeddedNeedsAStore(t *testing.T) {
	t.Parallel()
	_, err := StartEmbedded(EmbeddedConfig{})
	require.Error(t, err)
	taken := startServer(t)
	r := EmbeddedConfig{StoreDir: t.TempDir(), Log: quiet(), SyncInterval: -1}
	e, err := StartEmbedded(r)
	require.NoError(t, err)
	require.NotEqual(t, taken.URL(), e.URL())
	e.Stop()
	e.Stop()
}
