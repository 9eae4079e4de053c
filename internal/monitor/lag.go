package monitor

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/outbox"
)

// Lag is how far behind one consumer is on one lane.
type Lag struct {
	Consumer string `json:"consumer"`
	Lane     string `json:"lane"`
	// Messages are unfinished in the broker: waiting, and handed out but not done.
	Messages uint64 `json:"messages"`
	// OldestAge is the age of the oldest unfinished message, or of the oldest
	// delivery that is due in the outbox if that is older; 0: nothing is unfinished.
	OldestAge Seconds `json:"oldest_age_seconds"`
	// Owed are the deliveries that the outbox owes, those in the broker included.
	Owed int64 `json:"owed"`
	// Parked, of the owed, wait for a later attempt.
	Parked int64 `json:"parked"`
	// Redelivered, of the messages, were handed out more than once.
	Redelivered int `json:"redelivered"`
	// Error says why the numbers are incomplete.
	Error string `json:"error,omitempty"`
}

// Seconds is a duration that prints as seconds in JSON.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 3, 64), nil
}

// brokerPatience bounds the look at the broker, so that one that hangs leaves time
// for the outbox.
const brokerPatience = 2 * time.Second

// Collector reads lag from the broker and the outbox.
type Collector struct {
	DB   *sqlx.DB
	Conn *broker.Conn
}

// Lag returns the lag of every consumer and lane, sorted. What could be read is
// returned beside the error of what could not.
func (c Collector) Lag(ctx context.Context) ([]Lag, error) {
	byQueue := map[outbox.Queue]*Lag{}
	at := func(consumer, lane string) *Lag {
		key := outbox.Queue{Consumer: consumer, Lane: events.Lane(lane)}
		if byQueue[key] == nil {
			byQueue[key] = &Lag{Consumer: consumer, Lane: lane}
		}
		return byQueue[key]
	}
	brokerCtx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	messages, brokerErr := c.Conn.Lag(brokerCtx)
	for _, m := range messages {
		lag := at(m.Consumer, string(m.Lane))
		lag.Messages, lag.Redelivered, lag.OldestAge = m.Pending+uint64(max(0, m.AckPending)), m.Redelivered, Seconds(m.OldestAge)
		if m.Err != nil {
			lag.Error = m.Err.Error()
		}
	}
	owed, outboxErr := outbox.ReadOwed(ctx, c.DB)
	for _, o := range owed {
		lag := at(o.Consumer, o.Lane)
		lag.Owed, lag.Parked, lag.OldestAge = o.Rows, o.Parked, max(lag.OldestAge, Seconds(o.OldestAge))
	}
	list := make([]Lag, 0, len(byQueue))
	for _, lag := range byQueue {
		list = append(list, *lag)
	}
	slices.SortFunc(list, func(a, b Lag) int {
		return cmp.Or(cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Lane, b.Lane))
	})
	return list, errors.Join(brokerErr, outboxErr)
}
