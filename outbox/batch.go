package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
)

const (
	// deadlockTriesMax is how often a batch that PostgreSQL chose as a deadlock's
	// victim is tried; two committers meet rarely, three times in a row never seen.
	deadlockTriesMax = 10
	retryWaitMin     = 5 * time.Millisecond
	retryWaitMax     = 500 * time.Millisecond
)

// run commits a batch and answers every caller in it.
func (c *Committer) run(s *session, batch []*pending) {
	deadline := time.Now().Add(c.config.Patience)
	wait := retryWaitMin
	for try := 1; ; try++ {
		won, err := c.commit(s, batch)
		if err == nil {
			err = c.conclude(s, batch, won)
			if err == nil {
				return
			}
		}
		switch class := postgres.Classify(err); {
		case class == postgres.Deadlock && try < deadlockTriesMax:
			c.config.Metrics.deadlocks.Inc()
		case class == postgres.Unavailable || class == postgres.Canceled || class == postgres.Deadlock || systemic(err):
			s.reset()
			if time.Now().Add(wait).After(deadline) {
				c.config.Log.Warn("commits fail", "waiting", c.Depth(), "error", err)
				c.fail(batch, fmt.Errorf("%w: %w", ErrUnavailable, err))
				return
			}
		default:
			c.bisect(s, batch, err)
			return
		}
		time.Sleep(wait/2 + rand.N(wait/2)) //nolint:forbidigo // backing off from a database that is down or busy; nothing to wait on
		wait = min(2*wait, retryWaitMax)
	}
}

// systemic reports whether an error is about us rather than about a row: a
// password, a right, a table or a statement that is not there (SQLSTATE classes
// 28, 3D, 26, 42). It fails the whole batch, and is nobody's data.
func systemic(err error) bool {
	code := postgres.Code(err)
	return len(code) == 5 && slices.Contains([]string{"28", "3D", "26", "42"}, code[:2])
}

// bisect finds whose effects the database refuses: halves are committed apart
// until the refused one stands alone and hears why. Only an error about its data
// is a DataError; anything else may pass when it is tried again.
func (c *Committer) bisect(s *session, batch []*pending, err error) {
	data := postgres.Classify(err) == postgres.Data
	if !data {
		s.reset() // after a data error the connection is as good as before
	}
	if len(batch) > 1 {
		c.run(s, batch[:len(batch)/2])
		c.run(s, batch[len(batch)/2:])
		return
	}
	c.queue.suspect(batch[0].effects.Owner)
	c.config.Metrics.dataErrors.Inc()
	if data {
		err = &DataError{Err: err}
	}
	c.fail(batch, fmt.Errorf("effects %s of %s: %w", batch[0].effects.ID, batch[0].effects.Guard.Kind().Name, err))
}

func (c *Committer) fail(batch []*pending, err error) {
	for _, p := range batch {
		p.done <- answer{err: err}
	}
}

// commit runs the batch's statement and returns the positions that applied.
func (c *Committer) commit(s *session, batch []*pending) ([]int, error) {
	st, sets := gathered(batch, s.rowSet)
	var won []int
	err := s.query(st, sets, func(position int, _ string) { won = append(won, position) })
	return won, err
}

// gathered returns the batch's statement, and the rows for it.
func gathered(batch []*pending, fresh func(*Kind) *rowSet) (statement, map[*Kind]*rowSet) {
	var guards, rows []*Kind
	sets := map[*Kind]*rowSet{}
	add := func(list *[]*Kind, position int, row Row) {
		kind := row.Kind()
		set, ok := sets[kind]
		if !ok {
			set = fresh(kind)
			sets[kind] = set
			*list = append(*list, kind)
		}
		set.add(position, row, batch[position].effects.ID)
	}
	for position, p := range batch {
		add(&guards, position, p.effects.Guard)
		for _, row := range p.effects.Rows {
			add(&rows, position, row)
		}
		for _, done := range p.effects.Done {
			add(&rows, position, doneRow(done))
		}
		for _, row := range p.owed {
			add(&rows, position, row)
		}
	}
	return plan(guards, rows), sets
}

// conclude judges those that did not win, hands on what was committed and
// answers everybody.
func (c *Committer) conclude(s *session, batch []*pending, won []int) error {
	results := make([]Result, len(batch))
	for _, position := range won {
		results[position] = Applied
	}
	if len(won) < len(batch) {
		if err := judge(s, batch, results); err != nil {
			return err
		}
	}
	for position, p := range batch {
		if results[position] == Applied {
			c.handOn(p)
		}
		c.config.Metrics.committed(p.effects.Guard.Kind().Name, results[position])
		p.done <- answer{result: results[position], batch: len(batch)}
	}
	return nil
}

// querier runs a statement over row sets; see session.query.
type querier interface {
	query(st statement, sets map[*Kind]*rowSet, each func(position int, verdict string)) error
}

// judge asks, in a statement of its own and so with a fresh snapshot, why
// effects did not apply: by an earlier try of ours whose answer was lost, by
// somebody else, or because the row has moved on.
func judge(s querier, batch []*pending, results []Result) error {
	losers := map[*Kind]*rowSet{}
	for position, p := range batch {
		if results[position] != 0 {
			continue
		}
		kind := p.effects.Guard.Kind()
		if kind.Judge == "" {
			results[position] = kind.Otherwise
			continue
		}
		results[position] = Stale
		if losers[kind] == nil {
			losers[kind] = newRowSet(kind)
		}
		losers[kind].add(position, p.effects.Guard, p.effects.ID)
	}
	for kind := range losers {
		err := s.query(judgement(kind), losers, func(position int, verdict string) {
			switch verdict {
			case "applied":
				results[position] = Applied
			case "duplicate":
				results[position] = Duplicate
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// handOn gives what was committed to those who act on it. Both are best effort:
// the sweeper and the waiters' own reads make up for a loss.
func (c *Committer) handOn(p *pending) {
	if c.config.Moved != nil {
		for _, notice := range p.effects.Notices {
			c.config.Moved(notice.Spend)
		}
	}
	for i, row := range p.owed {
		if i > 0 && row.delivery.EventID == p.owed[i-1].delivery.EventID {
			continue // one message serves every consumer
		}
		c.config.Metrics.reached(stageCommitted, row.accepted)
		if c.config.Relay != nil {
			c.config.Relay.Hand(Message{
				Subject: row.subject, ID: row.delivery.EventID, Payload: row.payload, Traceparent: row.traceparent, Accepted: row.accepted,
			})
		}
	}
	for _, notice := range p.effects.Notices {
		c.config.Metrics.reached(stage(notice.Spend.State), notice.Spend.AcceptedAt)
		if c.config.Announcer != nil && notice.Spend.State.Final() {
			c.config.Announcer.Announce(notice)
		}
	}
}

// rowSet gathers the rows of one kind in a batch.
type rowSet struct {
	positions []byte // array literal of the positions in the batch
	columns   *Columns
}

func newRowSet(kind *Kind) *rowSet {
	return &rowSet{positions: append(make([]byte, 0, 64), '{'), columns: NewColumns(len(kind.Columns))}
}

func (r *rowSet) add(position int, row Row, effect string) {
	if len(r.positions) > 1 {
		r.positions = append(r.positions, ',')
	}
	r.positions = strconv.AppendInt(r.positions, int64(position), 10)
	row.AppendTo(r.columns, effect)
}

// args returns the arguments of the kind in a statement, good until the next reset.
func (r *rowSet) args(into []any) []any {
	r.positions = append(r.positions, '}')
	return r.columns.Args(append(into, r.positions))
}

func (r *rowSet) reset() {
	r.positions = append(r.positions[:0], '{')
	r.columns.Reset()
}

func background(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}
