package broker

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// Not parallel: goleak looks at the whole process. It runs before the parallel
// tests continue.
func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	server, err := StartEmbedded(EmbeddedConfig{StoreDir: t.TempDir(), Log: quiet()})
	require.NoError(t, err)
	c, err := Connect(t.Context(), Config{URL: server.URL(), Log: quiet()})
	require.NoError(t, err)
	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge}))
	s, err := NewSubscriber(c, charge, SubscriberConfig{DrainTimeout: 10 * time.Millisecond})
	require.NoError(t, err)
	msgs, err := s.Subscribe(t.Context(), charge.Name())
	require.NoError(t, err)
	_, err = c.OnNotice(func(string) bool { return true }, func(events.Notice) {})
	require.NoError(t, err)
	publishMany(t, c, chargeSubject, "m", 10)
	next(t, msgs).Ack()
	next(t, msgs) // never answered

	c.Close()
	c.Close()
	require.Equal(t, "closed", c.Status())
	for range msgs {
	}
	require.NoError(t, s.Close())
	require.ErrorIs(t, tryPublish(c, chargeSubject, "late"), ErrClosed)
	_, err = s.Subscribe(t.Context(), charge.Name())
	require.ErrorIs(t, err, ErrClosed)

	down, err := Connect(t.Context(), Config{URL: "nats://127.0.0.1:1", Log: quiet()})
	require.NoError(t, err)
	_, err = down.subscribe(t.Context(), charge, time.Second)
	require.NoError(t, err)
	down.Close()

	server.Stop()
	goleak.VerifyNone(t, before)
}

// Every publish is answered exactly once, whatever happens to the server.
func TestPublishIsAnsweredOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	r := newRestartable(t)
	c := connect(t, r.url)
	require.NoError(t, c.Reconcile(t.Context(), nil))
	const n = 20000
	answers := make([]atomic.Int32, n)
	var answered, stored atomic.Int64
	half := make(chan struct{})
	restarted := make(chan struct{})
	go func() { defer close(restarted); <-half; r.server.Stop(); r.start(t) }() //nolint:testifylint // a failed start leaves the publishes unanswered, which fails the test
	for i := range n {
		if i == n/2 {
			close(half)
		}
		began := time.Now()
		c.Publish(chargeSubject, "", []byte("x"), nil, func(err error) {
			answers[i].Add(1)
			answered.Add(1)
			if err == nil {
				stored.Add(1)
			}
		})
		require.Less(t, time.Since(began), stallTimeout+connDrain+time.Second)
	}
	<-restarted
	eventually(t, func() bool { return answered.Load() >= n }, "all answered")
	eventually(t, c.Connected, "connected")
	for i := range answers {
		require.EqualValues(t, 1, answers[i].Load(), i)
	}
	stream, err := c.js.Stream(t.Context(), StreamName)
	require.NoError(t, err)
	require.GreaterOrEqual(t, stream.CachedInfo().State.Msgs, uint64(stored.Load()), "reported stored, so it is there")
}

// The server is there but does not answer: publishes fail in bounded time.
func TestPublishOfASilentServerFails(t *testing.T) {
	t.Parallel()
	c := connect(t, startServer(t).URL())
	sub, err := c.nc.SubscribeSync("elsewhere.>") // somebody who never acknowledges
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	began := time.Now()
	require.Error(t, tryPublish(c, "elsewhere.x", "m"))
	require.GreaterOrEqual(t, time.Since(began), ackTimeout)
}

func TestMessageIDIsStoredOnce(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	publish(t, c, chargeSubject, "m")
	publish(t, c, chargeSubject, "m")
	publish(t, c, chargeSubject, "m.2") // a republish wants to be stored
	eventually(t, func() bool { return state(t, c, charge).NumPending == 2 }, "stored once each")
}

func TestHeadersCannotSteerTheServer(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	steering := map[string]string{
		"Nats-Expected-Last-Sequence": "99", "nats-rollup": "all", "Nats-Msg-Id": "other", "a b": "x",
		"x\r\nNats-Rollup": "all", "": "x", "traceparent": "00-1\r\nNats-Rollup: all",
	}
	done := make(chan error, 1)
	c.Publish(chargeSubject, "m", []byte(`{}`), steering, func(err error) { done <- err })
	require.NoError(t, <-done)
	m := next(t, subscribe(t, c, charge))
	require.Equal(t, "m", m.UUID)
	require.Len(t, m.Metadata, 1)
	require.True(t, strings.HasPrefix(m.Metadata.Get("traceparent"), "00-1"))
	m.Ack()
}

func TestPublisherSendsOnlyNamedMetadata(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	p := NewPublisher(c, "extra")
	m := message.NewMessage("id", []byte("payload"))
	m.Metadata = message.Metadata{"traceparent": "t", "extra": "e", "secret": "s", "Nats-Rollup": "all"}
	require.NoError(t, p.Publish(chargeSubject, m))
	err := p.Publish("nowhere", message.NewMessage("1", nil), message.NewMessage("2", nil))
	require.Error(t, err)
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	require.Len(t, joined.Unwrap(), 2)
	got := next(t, subscribe(t, c, charge))
	require.Equal(t, message.Metadata{"traceparent": "t", "extra": "e"}, got.Metadata)
	require.Equal(t, message.Payload("payload"), got.Payload)
	got.Ack()
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Publish(chargeSubject, m), ErrClosed)
	require.True(t, c.Connected(), "the connection is not the publisher's")
}

func TestNoticesReachEveryProcess(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	a, b := connect(t, server.URL()), connect(t, server.URL())
	got := make(chan events.Notice, 16)
	var stops []func()
	for _, c := range []*Conn{a, b} {
		stop, err := c.OnNotice(func(id string) bool { return id != "nobody's" }, func(n events.Notice) { got <- n })
		require.NoError(t, err)
		stops = append(stops, stop)
		require.NoError(t, c.nc.Flush())
	}
	require.NoError(t, a.nc.Publish(events.NoticeSubject, []byte("not json")))
	a.Announce(events.Notice{Spend: economy.Spend{ID: "nobody's"}})
	a.Announce(events.Notice{Spend: economy.Spend{ID: "s1"}})
	for range 2 {
		select {
		case n := <-got:
			require.Equal(t, "s1", n.Spend.ID)
		case <-time.After(patience):
			require.FailNow(t, "no notice")
		}
	}
	stops[1]()
	stops[1]()

	// With nobody to write to, announcing loses notices and does not block.
	server.Stop()
	for range 3 * noticeBuffer {
		b.Announce(events.Notice{})
	}
}
