package broker

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

const (
	defaultDrain = 20 * time.Second // as SubscriberConfig.DrainTimeout

	// abandonAfter is how long a handler whose context was cancelled has to nack.
	abandonAfter = time.Second

	// inboxDrain is how long the server may take to confirm that it sends no more.
	inboxDrain = 2 * time.Second

	// checkEvery is how often lost pull requests are looked for, and how long
	// pulling rests after the server refused for a reason we do not know.
	checkEvery = time.Second

	// pullShare: while pull requests are open, another is made only for a quarter
	// of the handlers at once. At 25,000 messages a second it is the difference
	// between a request per message and one for sixteen.
	pullShare = 4
)

// subscription is one running Subscribe.
//
//	inbox -> receive -> queue -> dispatch -> out -> (handler) -> await
type subscription struct {
	conn    *Conn
	durable Durable
	drain   time.Duration

	out   chan *message.Message
	queue chan *delivery // never full: it holds some of inflight

	base       context.Context // of the messages
	cancelBase context.CancelFunc

	mu       sync.Mutex
	inbox    *inbox // nil: none could be opened yet
	inflight map[identity]*delivery
	resting  bool // no pulling until resume
	stopped  bool // nothing more is fetched or handed out

	wake     chan struct{} // capacity 1: slots may be free
	quit     chan struct{} // closed by end
	stopping chan struct{} // closed once stopped
	abandon  chan struct{} // closed when handlers are given up
	ended    chan struct{} // closed last
	handlers sync.WaitGroup
	quitOnce sync.Once
}

// inbox is where the server sends what one set of pull requests asks for. After a
// reconnect a new one is used, so that the server's leftovers of the old requests
// cannot exceed what is free.
type inbox struct {
	sub    *nats.Subscription
	prefix string
	credit credit
	closed chan struct{} // closed when nothing more comes
}

func (c *Conn) subscribe(ctx context.Context, d Durable, drain time.Duration) (*subscription, error) {
	s := &subscription{
		conn:     c,
		durable:  d,
		drain:    drain,
		out:      make(chan *message.Message),
		queue:    make(chan *delivery, d.maxInFlight()),
		inflight: make(map[identity]*delivery, d.maxInFlight()),
		wake:     make(chan struct{}, 1),
		quit:     make(chan struct{}),
		stopping: make(chan struct{}),
		abandon:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	s.base, s.cancelBase = context.WithCancel(context.WithoutCancel(ctx))

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		s.cancelBase()
		return nil, ErrClosed
	}
	c.subs[s] = struct{}{}
	go s.run(ctx)
	return s, nil
}

// run lives as long as the subscription.
func (s *subscription) run(ctx context.Context) {
	var parts sync.WaitGroup
	done := make(chan struct{})
	parts.Go(func() { s.pulling(done) })
	parts.Go(func() { s.heartbeats(done) })
	dispatched := make(chan struct{})
	go func() { defer close(dispatched); s.dispatch() }()

	s.reopen()
	select {
	case <-ctx.Done():
	case <-s.quit:
	}
	s.stop()
	<-dispatched
	s.finishHandlers()
	close(done)
	parts.Wait()

	s.conn.mu.Lock()
	delete(s.conn.subs, s)
	s.conn.mu.Unlock()
	close(s.ended)
}

// stop ends fetching. What is on its way is awaited and nacked, see accept. The
// server is told before the first nack, so that it sends none of them here again;
// what it sent already and nobody took it hands out again itself.
func (s *subscription) stop() {
	s.mu.Lock()
	in := s.inbox
	in.drain()
	s.inbox = nil
	s.stopped = true
	s.mu.Unlock()
	close(s.stopping)
	if in == nil {
		return
	}
	select {
	case <-in.closed:
	case <-time.After(inboxDrain): // disconnected: there is nobody to wait for
	}
}

// finishHandlers waits for the handlers: first patiently, then without their
// contexts, then no longer.
func (s *subscription) finishHandlers() {
	idle := make(chan struct{})
	go func() { defer close(idle); s.handlers.Wait() }()
	select {
	case <-idle:
	case <-time.After(s.drain):
		s.conn.log.Warn("handlers are cancelled after the drain timeout", "consumer", s.durable.Name(), "timeout", s.drain)
	}
	s.cancelBase()
	select {
	case <-idle:
	case <-time.After(abandonAfter):
	}
	close(s.abandon)
	<-idle
}

// end stops the subscription and waits for it.
func (s *subscription) end() {
	s.quitOnce.Do(func() { close(s.quit) })
	<-s.ended
}

// dispatch hands out what was received, in the order it came, until stopping; then
// it nacks what no handler took.
func (s *subscription) dispatch() {
	defer close(s.out)
	for {
		select {
		case <-s.stopping:
			s.nakQueue()
			return
		case d := <-s.queue:
			select {
			case <-s.stopping:
				s.refuse(d)
			case s.out <- d.msg:
				s.handlers.Add(1)
				go s.await(d)
			}
		}
	}
}

// await sends the handler's answer.
func (s *subscription) await(d *delivery) {
	defer s.handlers.Done()
	select {
	case <-d.msg.Acked():
		s.finish(d, answerAck)
	case <-d.msg.Nacked():
		s.finish(d, d.nak())
	case <-s.abandon:
		s.finish(d, nil)
	}
}

// nakQueue refuses what waits in the queue.
func (s *subscription) nakQueue() {
	for {
		select {
		case d := <-s.queue:
			s.refuse(d)
		default:
			return
		}
	}
}

func (s *subscription) refuse(d *delivery) { s.finish(d, answerNak) }

// finish ends this process's responsibility for a message, with an answer or, if
// nil, without. The answer goes out before the slot is free, so that the server
// does not see more in flight than there are handlers for longer than it must.
func (s *subscription) finish(d *delivery, answer []byte) {
	d.cancel()
	s.mu.Lock()
	reply, void := d.reply, d.void
	s.mu.Unlock()
	if answer != nil && !void {
		s.answer(reply, answer)
	}
	s.mu.Lock()
	delete(s.inflight, d.id)
	s.mu.Unlock()
	s.poke()
}

// answer is best effort: an answer that is lost brings the message again.
func (s *subscription) answer(reply string, answer []byte) {
	if err := s.conn.nc.Publish(reply, answer); err != nil {
		s.conn.log.Debug("answer not sent, the message will come again", "consumer", s.durable.Name(), "error", err)
	}
}
