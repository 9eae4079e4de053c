package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/sluice-gems/sluice/events"
)

// noticeBuffer is how many notices may wait to be written. More are dropped: by
// then NATS does not take them, and whoever waits reads the database.
const noticeBuffer = 4096

// noticesMax is how many notices one message holds, a line each: a commit ends dozens
// of spends at once.
const noticesMax = 64

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

// announce writes a notice, and those that wait behind it, as one message.
func (c *Conn) announce(n events.Notice) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	err := encoder.Encode(n)
	for range noticesMax - 1 {
		select {
		case n := <-c.notices:
			err = errors.Join(err, encoder.Encode(n))
			continue
		default:
		}
		break
	}
	if err := errors.Join(err, c.nc.Publish(events.NoticeSubject, lines.Bytes())); err != nil {
		c.log.Debug("notices lost", "error", err)
	}
}

// OnNotice calls do for every notice of any process, this one included, that is about
// a spend which is wanted, one at a time; both must be quick. Most are not: they are
// about requests of other processes, and are not decoded. It works across reconnects.
// After stop returns do is called at most for one more message; a second stop does
// nothing. Errors: the Conn is closed.
func (c *Conn) OnNotice(wanted func(spendID string) bool, do func(events.Notice)) (stop func(), err error) {
	sub, err := c.nc.Subscribe(events.NoticeSubject, func(m *nats.Msg) {
		for line := range bytes.Lines(m.Data) {
			if id, ok := spendOf(line); ok && !wanted(id) {
				continue
			}
			var n events.Notice
			if err := json.Unmarshal(line, &n); err != nil {
				c.log.Warn("not a notice", "error", err)
				return
			}
			do(n)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only when already ended
}

// spendOf reads the id of a notice's spend from its JSON; ok is false where it does not
// stand where the encoder puts it.
func spendOf(notice []byte) (id string, ok bool) {
	rest, ok := bytes.CutPrefix(notice, []byte(`{"spend":{"ID":"`))
	raw, _, whole := bytes.Cut(rest, []byte(`"`))
	return string(raw), ok && whole
}
