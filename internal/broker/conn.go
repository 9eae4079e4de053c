package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluice-gems/sluice/events"
)

const (
	dialTimeout   = 2 * time.Second
	reconnectWait = 250 * time.Millisecond // plus up to as much again, so that many processes do not come at once
	pingInterval  = 5 * time.Second        // two missed: a connection that died silently is noticed within 15 s
	connDrain     = 5 * time.Second        // for what is already written to reach the server
)

// Config says where NATS is.
type Config struct {
	URL      string       // one address or several, comma separated; may hold credentials
	Name     string       // shown by the server for this connection, e.g. sluice-work
	Log      *slog.Logger // nil: slog.Default
	Replicas int          // copies of the stream in a cluster; 0: 1
}

// Conn is a connection to NATS that repairs itself. Its methods are safe for
// concurrent use.
type Conn struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	log      *slog.Logger
	replicas int

	healer  healer
	acks    acks
	notices chan events.Notice

	mu     sync.Mutex
	subs   map[*subscription]struct{}
	closed bool

	gone      chan struct{} // closed when the NATS connection is closed for good
	stop      context.CancelFunc
	wg        sync.WaitGroup
	closeOnce sync.Once
}

// Connect connects, or starts trying: when NATS is down it returns a Conn that is
// not Connected yet, and whatever was asked of it begins once NATS is there.
// It never gives up. Errors: an address that cannot be read, ctx.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &Conn{
		log:      orDefault(cfg.Log),
		replicas: max(cfg.Replicas, 1),
		healer:   healer{ailing: make(chan struct{}, 1), durables: map[string]Durable{}},
		acks:     acks{waiting: map[*nats.Msg]func(error){}},
		notices:  make(chan events.Notice, noticeBuffer),
		subs:     map[*subscription]struct{}{},
		gone:     make(chan struct{}),
	}
	nc, err := nats.Connect(cfg.URL, c.options(cfg.Name)...)
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	c.nc = nc
	c.js, err = jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(maxPendingPublishes),
		jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { c.published(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { c.published(m, err) }),
	)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.wg.Go(func() { c.healing(background) })
	c.wg.Go(func() { c.announcing(background) })
	return c, nil
}

func (c *Conn) options(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a password that is being rotated
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1), // a publish while disconnected fails at once; nothing is kept in hiding
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(connDrain), // a server that stopped reading blocks a writer no longer than this
		nats.DrainTimeout(connDrain),
		nats.ConnectHandler(c.connected),
		nats.ReconnectHandler(c.connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.log.Warn("nats disconnected", "error", err)
			}
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(c.gone) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			c.log.Error("nats", "error", err, "subject", subject)
		}),
	}
}

// connected runs after every connect. The server may be another one, or one whose
// store was deleted, so what should exist is looked at again.
func (c *Conn) connected(nc *nats.Conn) {
	c.log.Debug("nats connected", "url", nc.ConnectedUrlRedacted())
	c.heal()
	c.eachSubscription((*subscription).reconnected)
}

// Connected reports whether NATS can be reached now, as far as is known.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Status says in one word how the connection is, for readiness answers and logs:
// connected, reconnecting, connecting, draining, closed.
func (c *Conn) Status() string {
	switch c.nc.Status() {
	case nats.CONNECTED:
		return "connected"
	case nats.CONNECTING:
		return "connecting"
	case nats.RECONNECTING:
		return "reconnecting"
	case nats.DRAINING_PUBS, nats.DRAINING_SUBS:
		return "draining"
	default:
		return "closed"
	}
}

// Close ends every subscription as Subscriber.Close does, waits for publishes in
// flight, sends what is written, and closes the connection. Each step is bounded,
// so Close returns after 30 s at the latest unless a DrainTimeout is longer; a
// publish not acknowledged by then is reported as ErrClosed. A second call waits
// for the first.
func (c *Conn) Close() {
	c.closeOnce.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.EndSubscriptions()
		if c.Connected() {
			select {
			case <-c.js.PublishAsyncComplete():
			case <-time.After(ackTimeout):
			}
		}
		c.stop()
		c.wg.Wait()
		if err := c.nc.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionReconnecting) {
			c.log.Warn("nats drain", "error", err)
		}
		select {
		case <-c.gone:
		case <-time.After(2 * connDrain):
			c.nc.Close()
			<-c.gone
		}
		c.js.CleanupPublisher()
		c.acks.fail(ErrClosed)
	})
}

// EndSubscriptions ends all at once, each as Subscriber.Close does, and waits for them.
// A second call waits for what has begun since.
func (c *Conn) EndSubscriptions() {
	var wg sync.WaitGroup
	c.eachSubscription(func(s *subscription) { wg.Go(s.end) })
	wg.Wait()
}

// eachSubscription calls do for each live subscription, outside the lock.
func (c *Conn) eachSubscription(do func(*subscription)) {
	c.mu.Lock()
	subs := make([]*subscription, 0, len(c.subs))
	for s := range c.subs {
		subs = append(subs, s)
	}
	c.mu.Unlock()
	for _, s := range subs {
		do(s)
	}
}
