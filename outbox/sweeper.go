package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/events"
)

// The sweeper's constants.
const (
	// sweepInterval is how often the outbox is looked at: a parked delivery is at
	// most this late.
	sweepInterval = time.Second
	// sweepMargin is how much older than the consumer's oldest unfinished message
	// a row must be before it counts as lost. It covers the time between a commit
	// and the broker's word that it stored the message.
	sweepMargin = 5 * time.Second
	// sweepChunk bounds the lost rows of one statement, and the parked ones, and so
	// what is in flight.
	sweepChunk = 500
	// sweepChunksMax bounds the work per consumer and round, so that one
	// consumer's heap of owed rows does not keep the others waiting.
	sweepChunksMax = 20
	// publishPatience is how long a chunk may take to be stored by the broker.
	publishPatience = 10 * time.Second
	// sweeperLock is the advisory lock of the one sweeper at work ("sluice" in hex).
	sweeperLock = 0x736c75696365
)

// HeaderAttempts carries, on a republished message, how many attempts failed
// before: the broker's own count starts anew with each publish.
const HeaderAttempts = "Sluice-Attempts"

// HeaderEventID carries, on a republished message, the event's id: the message's
// own id is another one.
const HeaderEventID = "Sluice-Event-Id"

// Backlog tells how far a consumer is. The broker implements it.
type Backlog interface {
	// OldestUnfinished returns the age of the oldest message that the consumer has
	// not finished on a lane, by the broker's clock; any is false when there is none.
	OldestUnfinished(ctx context.Context, consumer string, lane events.Lane) (age time.Duration, any bool, err error)
}

// Queue is one durable consumer on one lane.
type Queue struct {
	Consumer string      `db:"consumer"`
	Lane     events.Lane `db:"lane"`
}

// Sweeper publishes what is owed although nothing in the broker will bring it:
// after a crash between commit and publish, a lost message, a wiped stream, and
// when a parked delivery falls due. All of these are one rule: a row is owed when
// it is due and was last published longer ago, by sweepMargin, than its
// consumer's oldest unfinished message, or its consumer has none.
type Sweeper struct {
	DB        *sqlx.DB
	Queues    []Queue
	Backlog   Backlog
	Publisher Publisher
	Log       *slog.Logger
	Metrics   *Metrics
	Tracer    trace.Tracer     // starts the spans of publishes; nil: there are none
	Now       func() time.Time // nil: time.Now

	lookout lookout
}

// Run sweeps until ctx ends. Any number of processes may run it: one at a time
// works, the others wait to take over.
func (s *Sweeper) Run(ctx context.Context) error {
	if s.Metrics == nil {
		s.Metrics = NewMetrics(nil)
	}
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	lock := &advisoryLock{db: s.DB, key: sweeperLock}
	defer lock.release()
	for {
		switch mine, err := lock.hold(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Log.WarnContext(ctx, "sweeper", "outcome", "database unavailable", "error", err)
		case mine:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "sweeper", "outcome", "failed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep makes one round over the queues where anything may be owed, and publishes it.
func (s *Sweeper) Sweep(ctx context.Context) error {
	if s.lookout.now = s.Now; s.Now == nil {
		s.lookout.now = time.Now
	}
	doubtful, since, err := s.lookout.look(ctx, s.DB)
	if err != nil {
		return err
	}
	var problems []error
	for _, queue := range s.Queues {
		if !slices.Contains(doubtful, queue) {
			continue
		}
		age, unfinished, err := s.Backlog.OldestUnfinished(ctx, queue.Consumer, queue.Lane)
		if err != nil {
			problems = append(problems, fmt.Errorf("backlog of %s: %w", queue.Consumer, err))
			continue
		}
		if !unfinished {
			age = 0
		}
		if err := s.sweepQueue(ctx, queue, age+sweepMargin, since); err != nil {
			problems = append(problems, fmt.Errorf("sweep %s: %w", queue.Consumer, err))
		}
	}
	return errors.Join(problems...)
}

// claim marks chunks of owed rows as published now, oldest first: those that got lost,
// and those that fall due. Each of the two reads the few rows it is for by an index:
// what is under way, which is nearly all, is younger. Marking first makes a failed
// publish wait for the margin, not spin.
const claim = `
WITH lost AS (
	SELECT event_id, consumer FROM outbox
	WHERE consumer = $1 AND lane = $2 AND due_at >= $5::timestamptz AND due_at < now() - $3 * interval '1 millisecond' AND published_at < now() - $3 * interval '1 millisecond'
	ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
), parked AS (
	SELECT event_id, consumer FROM outbox
	WHERE consumer = $1 AND lane = $2 AND due_at >= $5::timestamptz AND due_at <= now() AND published_at IS NULL
	ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE outbox o SET published_at = now(), due_at = now(), republished = o.republished + 1
FROM (SELECT * FROM lost UNION ALL SELECT * FROM parked) r
WHERE ` + ByKey + `
RETURNING o.event_id, o.subject, o.payload, o.republished, o.attempts, coalesce(o.payload->>'traceparent', '') AS traceparent`

type owed struct {
	EventID     string `db:"event_id"`
	Subject     string `db:"subject"`
	Payload     []byte `db:"payload"`
	Republished int    `db:"republished"`
	Attempts    int    `db:"attempts"`
	Traceparent string `db:"traceparent"`
}

func (s *Sweeper) sweepQueue(ctx context.Context, queue Queue, older time.Duration, since any) error {
	for range sweepChunksMax {
		var rows []owed
		err := s.DB.SelectContext(ctx, &rows, claim, queue.Consumer, string(queue.Lane), older.Milliseconds(), sweepChunk, since)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		s.Metrics.swept.WithLabelValues(queue.Consumer).Add(float64(len(rows)))
		s.Log.InfoContext(ctx, "sweeper", "outcome", "published", "consumer", queue.Consumer, "lane", queue.Lane, "events", len(rows))
		if err := s.publish(ctx, rows); err != nil {
			return err
		}
		if len(rows) < sweepChunk {
			return nil
		}
	}
	return nil
}

// publish publishes a chunk and waits until the broker has stored it.
func (s *Sweeper) publish(ctx context.Context, rows []owed) error {
	var waiting sync.WaitGroup
	var mu sync.Mutex
	var first error
	waiting.Add(len(rows))
	for _, row := range rows {
		// The guard removes duplicates; the broker's window would swallow the repair.
		id := row.EventID + "." + strconv.Itoa(row.Republished)
		header := map[string]string{HeaderAttempts: strconv.Itoa(row.Attempts), HeaderEventID: row.EventID}
		maps.Copy(header, traceHeader(row.Traceparent))
		span := startSend(ctx, s.Tracer, row.Subject, id, row.Traceparent)
		s.Publisher.Publish(row.Subject, id, row.Payload, header, func(err error) {
			endSend(span, err)
			mu.Lock()
			first = cmpErr(first, err)
			mu.Unlock()
			waiting.Done()
		})
	}
	stored := make(chan struct{})
	go func() { waiting.Wait(); close(stored) }()
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	select {
	case <-stored:
		return first
	case <-ctx.Done():
		return fmt.Errorf("publish %d owed events: %w", len(rows), ctx.Err())
	}
}

func cmpErr(first, next error) error {
	if first != nil {
		return first
	}
	return next
}
