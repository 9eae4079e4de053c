package broker

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

// patience bounds every wait in these tests. It is long because it is only used up
// by a failure, and the machine may be busy.
const patience = 30 * time.Second

// quiet is a log that shows nothing unless BROKER_TEST_LOG is set.
func quiet() *slog.Logger {
	if os.Getenv("BROKER_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func startServer(t testing.TB) *Embedded {
	t.Helper()
	e, err := StartEmbedded(EmbeddedConfig{StoreDir: t.TempDir(), Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(e.Stop)
	return e
}

func connect(t testing.TB, url string) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), Config{URL: url, Name: t.Name(), Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// start returns a connection to a server of its own on which d exists.
func start(t testing.TB, d ...Durable) *Conn {
	t.Helper()
	c := connect(t, startServer(t).URL())
	require.NoError(t, c.Reconcile(t.Context(), d))
	return c
}

// charge is the durable of most tests.
var charge = Durable{Consumer: "adjust", Types: []events.Type{events.SpendRequestedV1}}

var chargeSubject = events.SubjectOf(events.Live, events.SpendRequestedV1, 3)

// publish publishes and waits for the acknowledgement.
func publish(t testing.TB, c *Conn, subject, id string) {
	t.Helper()
	require.NoError(t, tryPublish(c, subject, id))
}

func tryPublish(c *Conn, subject, id string) error {
	done := make(chan error, 1)
	c.Publish(subject, id, []byte(`{}`), nil, func(err error) { done <- err })
	return <-done
}

// publishMany publishes ids prefix0 to prefix<n-1> and waits for all.
func publishMany(t testing.TB, c *Conn, subject, prefix string, n int) {
	t.Helper()
	done := make(chan error, n)
	for i := range n {
		c.Publish(subject, fmt.Sprint(prefix, i), []byte(`{}`), nil, func(err error) { done <- err })
	}
	for range n {
		require.NoError(t, <-done)
	}
}

// subscribe subscribes to d until the test ends.
func subscribe(t testing.TB, c *Conn, d Durable) <-chan *message.Message {
	t.Helper()
	s, err := NewSubscriber(c, d, SubscriberConfig{DrainTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	msgs, err := s.Subscribe(t.Context(), d.Name())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return msgs
}

// next returns the next message or fails.
func next(t testing.TB, msgs <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-msgs:
		require.True(t, ok, "subscription ended")
		return m
	case <-time.After(patience):
		require.FailNow(t, "no message")
		return nil
	}
}

func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 2*time.Millisecond, what)
}

// state returns the durable's state on the server.
func state(t testing.TB, c *Conn, d Durable) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := c.js.Consumer(t.Context(), StreamName, d.Name())
	require.NoError(t, err)
	return consumer.CachedInfo()
}

// tally counts deliveries by message id.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[id]++
}

func (c *tally) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.n)
}

func (c *tally) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[id] > 0
}

// sequence is a message's place in the stream, from 1; 0: not from a Subscriber of
// this package.
func sequence(msg *message.Message) uint64 {
	if d, ok := deliveryOf(msg); ok {
		return d.id.sequence
	}
	return 0
}
