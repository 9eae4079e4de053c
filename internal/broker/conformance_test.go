package broker

import (
	"context"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

// TestConformance runs watermill's own suite against our Publisher and Subscriber,
// on the real stream.
//
// What is declared: no global order and no exactly once, which events do not need;
// a durable starts at the oldest message, but a second subscriber of the same
// durable shares its work, so NewSubscriberReceivesOldMessages is tested on its own
// below with a durable each. No RestartServiceCommand: the suite's TestReconnect
// races with itself (it compares with a list that it still appends to, without a
// lock), so TestServerRestartsUnderLoadLoseNothing stands in for it.
func TestConformance(t *testing.T) {
	t.Parallel()
	features := tests.Features{
		ConsumerGroups:      true,
		ExactlyOnceDelivery: false,
		GuaranteedOrder:     false,
		Persistent:          true,
	}
	c := connect(t, startServer(t).URL())
	inGroup := func(_ *testing.T, group string) (message.Publisher, message.Subscriber) {
		return topicPublisher{NewPublisher(c, "test")}, newTopicSubscriber(c, group)
	}
	tests.TestPubSub(t, features, func(*testing.T) (message.Publisher, message.Subscriber) { return inGroup(nil, "shared") }, inGroup)
}

func TestNewDurableReceivesOldMessages(t *testing.T) {
	t.Parallel()
	c := connect(t, startServer(t).URL())
	tests.TestNewSubscriberReceivesOldMessages(t,
		tests.TestContext{TestID: tests.NewTestID(), Features: tests.Features{Persistent: true, NewSubscriberReceivesOldMessages: true}},
		func(*testing.T) (message.Publisher, message.Subscriber) {
			return topicPublisher{NewPublisher(c)}, newTopicSubscriber(c, "g"+watermill.NewShortUUID())
		})
}

// The suite makes up topics; here a topic is a type of event on the bulk lane. It
// also publishes one id on several topics, which in one stream is a duplicate, so
// the topic becomes part of the id on the way.

type topicPublisher struct{ *Publisher }

func (p topicPublisher) Publish(topic string, messages ...*message.Message) error {
	copies := make([]*message.Message, len(messages))
	for i, m := range messages {
		copies[i] = m.Copy()
		copies[i].UUID = m.UUID + "@" + topic
	}
	return p.Publisher.Publish(events.SubjectOf(events.Bulk, events.Type(topic), 0), copies...)
}

// topicSubscriber makes a durable per group and topic, and takes the topic out of
// the ids again.
type topicSubscriber struct {
	conn  *Conn
	group string

	mu        sync.Mutex
	subs      []*Subscriber
	closing   chan struct{}
	closeOnce sync.Once
	wg        sync.WaitGroup
}

func newTopicSubscriber(c *Conn, group string) *topicSubscriber {
	return &topicSubscriber{conn: c, group: group, closing: make(chan struct{})}
}

func (s *topicSubscriber) durable(topic string) Durable {
	return Durable{Consumer: s.group + "_" + topic, Lane: events.Bulk, Types: []events.Type{events.Type(topic)}, AckWait: 5 * time.Second, MaxInFlight: 16}
}

func (s *topicSubscriber) SubscribeInitialize(topic string) error {
	return s.conn.Reconcile(context.Background(), []Durable{s.durable(topic)})
}

func (s *topicSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	d := s.durable(topic)
	// A short drain: some of the suite's tests never answer their last message.
	sub, err := NewSubscriber(s.conn, d, SubscriberConfig{DrainTimeout: 100 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.subs = append(s.subs, sub)
	s.mu.Unlock()
	in, err := sub.Subscribe(ctx, d.Name())
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	s.wg.Go(func() {
		defer close(out)
		for m := range in {
			m.UUID, _, _ = strings.Cut(m.UUID, "@")
			select {
			case out <- m:
			case <-s.closing:
				m.Nack()
			}
		}
	})
	return out, nil
}

func (s *topicSubscriber) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if err := sub.Close(); err != nil {
			return err
		}
	}
	s.wg.Wait()
	return nil
}

// restartable is a server on a fixed port that can be stopped and started again.
type restartable struct {
	cfg    EmbeddedConfig
	url    string
	server *Embedded
}

func newRestartable(t *testing.T) *restartable {
	t.Helper()
	r := &restartable{cfg: EmbeddedConfig{StoreDir: filepath.Join(t.TempDir(), "nats"), Log: quiet()}}
	r.start(t)
	u, err := url.Parse(r.url)
	require.NoError(t, err)
	r.cfg.Port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	t.Cleanup(func() { r.server.Stop() })
	return r
}

func (r *restartable) start(t *testing.T) {
	t.Helper()
	var err error
	r.server, err = StartEmbedded(r.cfg)
	require.NoError(t, err)
	r.url = r.server.URL()
}
