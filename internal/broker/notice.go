package broker

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/sluice-gems/sluice/events"
)

// noticeBuffer is how many notices may wait to be written. More are dropped: by
// then NATS does not take them, and whoever waits reads the database.
const noticeBuffer = 4096

// Announce tells all processes how a spend ended. It never blocks and may lose the
// notice: when disconnected, when notices come faster than they are written, when
// nobody listens.
func (c *Conn) Announce(n events.Notice) {
	select {
	case c.notices <- n:
	default:
	}
}

// announcing writes notices until ctx ends, then those that wait.
func (c *Conn) announcing(ctx context.Context) {
	for {
		select {
		case n := <-c.notices:
			c.announce(n)
		case <-ctx.Done():
			for {
				select {
				case n := <-c.notices:
					c.announce(n)
				default:
					return
				}
			}
		}
	}
}

func (c *Conn) announce(n events.Notice) {
	raw, err := json.Marshal(n)
	if err == nil {
		err = c.nc.Publish(events.NoticeSubject, raw)
	}
	if err != nil {
		c.log.Debug("notice lost", "spend", n.Spend.ID, "error", err)
	}
}

// OnNotice calls do for every notice of any process, this one included, one at a
// time; do must be quick. It works across reconnects. After stop returns do is
// called at most once more; a second stop does nothing. Errors: the Conn is closed.
func (c *Conn) OnNotice(do func(events.Notice)) (stop func(), err error) {
	sub, err := c.nc.Subscribe(events.NoticeSubject, func(m *nats.Msg) {
		var n events.Notice
		if err := json.Unmarshal(m.Data, &n); err != nil {
			c.log.Warn("not a notice", "error", err)
			return
		}
		do(n)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only when already ended
}
