package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluice-gems/sluice/events"
)

// Lag is how far behind a durable is.
type Lag struct {
	Consumer    string
	Lane        events.Lane
	Pending     uint64        // messages not handed out yet
	AckPending  int           // messages handed out and not finished, those waiting for a delayed retry included
	Redelivered int           // of AckPending: handed out more than once
	OldestAge   time.Duration // how long ago the oldest unfinished message was stored, by the server's clock; 0: none
	Stalled     time.Duration // how long messages have waited while none was handed out to anybody; 0: none waits
	Err         error         // why the numbers are not known; the others hold nothing then
}

// Lag returns the lag of every durable this Conn remembers, by name; of every
// durable on the server when it remembers none. A durable that does not exist has
// no lag, and is created in the background. Errors: the list itself could not be
// read; trouble with one durable is in its Err.
func (c *Conn) Lag(ctx context.Context) ([]Lag, error) {
	durables := c.remembered()
	if len(durables) == 0 {
		var err error
		if durables, err = c.listed(ctx); err != nil {
			return nil, err
		}
	}
	lags := make([]Lag, 0, len(durables))
	for _, d := range durables {
		lags = append(lags, c.lag(ctx, d))
	}
	return lags, nil
}

// OldestUnfinished returns how long ago the oldest message that the consumer has
// not finished on a lane was stored, by the server's clock. any is false when it
// has finished all, which is also the answer when the durable or the stream is
// missing; that is then repaired in the background. Errors: NATS is not reachable.
func (c *Conn) OldestUnfinished(ctx context.Context, consumer string, lane events.Lane) (age time.Duration, any bool, err error) {
	info, err := c.info(ctx, Durable{Consumer: consumer, Lane: lane}.Name())
	if err != nil || info == nil {
		return 0, false, err
	}
	return c.oldest(ctx, info)
}

func (c *Conn) lag(ctx context.Context, d Durable) Lag {
	lag := Lag{Consumer: d.Consumer, Lane: d.lane()}
	info, err := c.info(ctx, d.Name())
	if err != nil || info == nil {
		lag.Err = err
		return lag
	}
	age, _, err := c.oldest(ctx, info)
	if err != nil {
		lag.Err = err
		return lag
	}
	lag.Pending, lag.AckPending, lag.Redelivered = info.NumPending, info.NumAckPending, info.NumRedelivered
	lag.OldestAge = age
	if lag.Stalled, err = c.stalled(ctx, info); err != nil {
		lag.Err = err
	}
	return lag
}

// stalled is how long messages have waited while none was handed out, by the server's
// clock; 0: none waits. A server that was started again has forgotten when it handed
// one out last.
func (c *Conn) stalled(ctx context.Context, info *jetstream.ConsumerInfo) (time.Duration, error) {
	if info.NumPending == 0 {
		return 0, nil
	}
	age, _, err := c.first(ctx, info, info.Delivered.Stream)
	if last := info.Delivered.Last; last != nil {
		age = min(age, info.TimeStamp.Sub(*last))
	}
	return max(0, age), err
}

// info returns a durable's state, or nil when it does not exist.
func (c *Conn) info(ctx context.Context, name string) (*jetstream.ConsumerInfo, error) {
	consumer, err := c.js.Consumer(ctx, StreamName, name)
	if missing(err) {
		c.heal()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lag of %s: %w", name, err)
	}
	return consumer.CachedInfo(), nil
}

// oldest finds the first message after the ack floor that the durable gets.
func (c *Conn) oldest(ctx context.Context, info *jetstream.ConsumerInfo) (age time.Duration, any bool, err error) {
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return 0, false, nil
	}
	return c.first(ctx, info, info.AckFloor.Stream)
}

// first returns the age of the first message after a sequence that the durable gets.
func (c *Conn) first(ctx context.Context, info *jetstream.ConsumerInfo, after uint64) (age time.Duration, any bool, err error) {
	stream, err := c.js.Stream(ctx, StreamName)
	if missing(err) {
		c.heal()
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("lag of %s: %w", info.Name, err)
	}
	for _, filter := range filtersOf(info.Config) {
		msg, err := stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(filter))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // finished, or removed by the stream's limits
		case missing(err):
			c.heal()
			return 0, false, nil
		case err != nil:
			return 0, false, fmt.Errorf("lag of %s: %w", info.Name, err)
		default:
			any = true
			age = max(age, info.TimeStamp.Sub(msg.Time))
		}
	}
	return age, any, nil
}

func filtersOf(cfg jetstream.ConsumerConfig) []string {
	switch {
	case len(cfg.FilterSubjects) > 0:
		return cfg.FilterSubjects
	case cfg.FilterSubject != "":
		return []string{cfg.FilterSubject} // what the server makes of a single one
	default:
		return []string{">"}
	}
}

// listed returns the durables that are on the server.
func (c *Conn) listed(ctx context.Context) ([]Durable, error) {
	infos, err := c.consumers(ctx)
	if err != nil {
		return nil, err
	}
	durables := make([]Durable, 0, len(infos))
	for _, info := range infos {
		meta := info.Config.Metadata
		if meta[metaConsumer] != "" {
			durables = append(durables, Durable{Consumer: meta[metaConsumer], Lane: events.Lane(meta[metaLane])})
		}
	}
	return durables, nil
}

// consumers returns the state of all durables on the server; none when the stream
// is missing.
func (c *Conn) consumers(ctx context.Context) ([]*jetstream.ConsumerInfo, error) {
	stream, err := c.js.Stream(ctx, StreamName)
	if missing(err) {
		c.heal()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list durables: %w", err)
	}
	list := stream.ListConsumers(ctx)
	var infos []*jetstream.ConsumerInfo
	for info := range list.Info() {
		infos = append(infos, info)
	}
	if err := list.Err(); err != nil && !missing(err) {
		return nil, fmt.Errorf("list durables: %w", err)
	}
	return infos, nil
}
