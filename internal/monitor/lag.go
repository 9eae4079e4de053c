package monitor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/outbox"
)

// Seconds is a duration that prints as seconds in JSON.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 3, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	*s = secondsOf(seconds)
	return err
}

func secondsOf(seconds float64) Seconds { return Seconds(seconds * float64(time.Second)) }

// brokerPatience bounds the look at the broker, so that one that hangs leaves time
// for the outbox.
const brokerPatience = 2 * time.Second

func (m *Monitor) readBroker(ctx context.Context) ([]broker.Lag, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	list, err := m.conn.Lag(ctx)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	return list, nil
}

// owedRow is what the outbox owes a consumer of one partition, by PostgreSQL's clock.
type owedRow struct {
	Consumer  string      `db:"consumer"`
	Lane      events.Lane `db:"lane"`
	Partition int         `db:"partition"`
	Rows      int64       `db:"rows"`
	Parked    int64       `db:"parked"`
	Overdue   int64       `db:"overdue"`
	Age       float64     `db:"age"`         // seconds
	OverAge   float64     `db:"overdue_age"` // seconds
	LastError string      `db:"last_error"`
}

// owedQuery counts what the outbox owes. A subject ends in the two digits of its
// partition. It reads every row that is owed: the monitor rests accordingly.
const owedQuery = `SELECT consumer, lane, right(subject, 2)::int AS partition, sum(rows)::bigint AS rows, sum(parked)::bigint AS parked, sum(overdue)::bigint AS overdue,
		greatest(0, extract(epoch FROM now() - min(since)))::float8 AS age,
		coalesce(extract(epoch FROM now() - min(due)), 0)::float8 AS overdue_age, coalesce(max(error), '') AS last_error
	FROM (SELECT consumer, lane, subject, count(*) AS rows, min(owed_since) AS since,
			count(*) FILTER (WHERE published_at IS NULL) AS parked,
			count(*) FILTER (WHERE published_at IS NULL AND due_at < now()) AS overdue,
			min(due_at) FILTER (WHERE published_at IS NULL AND due_at < now()) AS due,
			max(last_error) FILTER (WHERE published_at IS NULL) AS error
		FROM outbox GROUP BY 1, 2, 3) o
	GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

func (m *Monitor) readOwed(ctx context.Context, s *Snapshot) ([]owedRow, error) {
	var rows []owedRow
	if err := m.db.SelectContext(ctx, &rows, owedQuery); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	s.Outbox = &Backlog{}
	for _, r := range rows {
		s.Outbox.Owed += r.Rows
		s.Outbox.Parked += r.Parked
		s.Outbox.Overdue += r.Overdue
		s.Outbox.OldestAge = max(s.Outbox.OldestAge, secondsOf(r.Age))
		s.Outbox.OverdueAge = max(s.Outbox.OverdueAge, secondsOf(r.OverAge))
	}
	return rows, nil
}

// merge joins what the broker and the outbox know of the same consumers.
func merge(inBroker []broker.Lag, owed []owedRow) []Lag {
	byQueue := map[outbox.Queue]*Lag{}
	at := func(consumer string, lane events.Lane) *Lag {
		key := outbox.Queue{Consumer: consumer, Lane: lane}
		if byQueue[key] == nil {
			byQueue[key] = &Lag{Consumer: consumer, Lane: string(lane), Partitions: []PartitionLag{}}
		}
		return byQueue[key]
	}
	for _, b := range inBroker {
		lag := at(b.Consumer, b.Lane)
		inHand := max(0, b.AckPending)
		lag.Messages, lag.InHand, lag.Redelivered = b.Pending+uint64(inHand), inHand, b.Redelivered
		lag.OldestAge, lag.Stalled = Seconds(b.OldestAge), Seconds(b.Stalled)
		if b.Err != nil {
			lag.Error = b.Err.Error()
		}
	}
	for _, o := range owed {
		lag, age := at(o.Consumer, o.Lane), secondsOf(o.Age)
		lag.Owed, lag.Parked, lag.OldestAge = lag.Owed+o.Rows, lag.Parked+o.Parked, max(lag.OldestAge, age)
		lag.LastError = max(lag.LastError, o.LastError)
		lag.Partitions = append(lag.Partitions, PartitionLag{Partition: o.Partition, Owed: o.Rows, Parked: o.Parked, OldestAge: age})
	}
	list := make([]Lag, 0, len(byQueue))
	for _, lag := range byQueue {
		list = append(list, *lag)
	}
	slices.SortFunc(list, func(a, b Lag) int {
		return cmp.Or(cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Lane, b.Lane))
	})
	return list
}
