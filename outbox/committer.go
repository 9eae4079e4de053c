package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// The committer's defaults.
const (
	// BatchMaxDefault is the most Effects of one commit. At 200 rows a batch
	// costs PostgreSQL about 31 us a row against 270 us for single transactions;
	// more gains little and keeps rows locked longer.
	BatchMaxDefault = 256
	// CommittersDefault is how many commits may run at once. One is enough where they are
	// large: all that comes meanwhile is the next one. The other is for when that one is
	// full, is small and waits for the disk, or hangs.
	CommittersDefault = 2
	// spareAfter is how long a commit may take before another may start beside it. It
	// waits for a row that somebody holds, or for the disk: usual ones take milliseconds.
	spareAfter = 100 * time.Millisecond
	// spareSoon is that of a small one. Where little comes, PostgreSQL is done with it by
	// then and waits for the disk, and what comes next need not wait for the same: at 500
	// spends a second that is half of a spend's time. Where much comes, commits are larger.
	spareSoon, smallBatch = 300 * time.Microsecond, 8
	// QueueMaxDefault bounds new work that waits, a second or less of it here.
	QueueMaxDefault = 8192
	// PatienceDefault is how long a batch is retried while the database is gone
	// before its callers hear ErrUnavailable.
	PatienceDefault = 5 * time.Second
)

// Subscriptions tells which durable consumers are owed an event of a type. It
// derives from the same table of Specs as the consumers themselves.
type Subscriptions map[events.Type][]string

// Announcer is told of committed changes. It must not block.
type Announcer interface {
	Announce(n events.Notice)
}

// CommitterConfig configures a Committer. Zero numbers take the defaults above.
type CommitterConfig struct {
	DB            *sqlx.DB
	Subscriptions Subscriptions
	Relay         *Relay    // gets the committed events; nil: they are left to the sweeper
	Announcer     Announcer // gets the notices; nil: nobody waits
	// Moved, when set, is told of every spend that a commit moved, before its events
	// are published. It must not block.
	Moved func(economy.Spend)
	// Rest, when set, is called between two commits of a committer, with the time that the
	// one took: the next begins when it returns.
	Rest func(worked time.Duration)
	// Short, when set, reports that somebody else is in more of a hurry: a batch has a few
	// Effects then, whatever waits. Who meets a commit waits for as long as that takes.
	Short      func() bool
	BatchMax   int
	Committers int
	QueueMax   int
	Patience   time.Duration
	Log        *slog.Logger // nil: nothing is logged
	Metrics    *Metrics
}

// Committer commits Effects of many concurrent callers in few transactions. It
// gathers naturally, without lingering: whatever waits when a commit ends is
// the next one. It is safe for concurrent use.
type Committer struct {
	config  CommitterConfig
	queue   *queue
	workers sync.WaitGroup
}

// NewCommitter starts the committer's workers. Close stops them.
func NewCommitter(config CommitterConfig) *Committer {
	config.BatchMax = orDefault(config.BatchMax, BatchMaxDefault)
	config.Committers = orDefault(config.Committers, CommittersDefault)
	config.QueueMax = orDefault(config.QueueMax, QueueMaxDefault)
	config.Patience = orDefault(config.Patience, PatienceDefault)
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics(nil)
	}
	c := &Committer{config: config, queue: newQueue(config.QueueMax)}
	for range config.Committers {
		c.workers.Go(c.work)
	}
	return c
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value == 0 {
		return fallback
	}
	return value
}

// Commit commits effects together with whatever else waits and returns what
// became of them. It returns once the commit is durable.
//
// Errors: ErrUnavailable, ErrOverloaded (Intake only), ErrClosed, *DataError, or
// ctx's error. After ErrUnavailable or ctx's error it is not known whether they
// were committed; calling again with the same Effects and ID changes nothing
// twice and tells.
func (c *Committer) Commit(ctx context.Context, effects Effects) (Result, error) {
	if effects.Guard == nil {
		return 0, errors.New("effects without a guard")
	}
	if effects.ID == "" {
		effects.ID = NewID()
	}
	ctx, effects, span := startCommit(ctx, effects)
	a := c.commitInTurn(ctx, effects)
	endCommit(span, a)
	return a.result, a.err
}

// commitInTurn queues the effects and waits until they are committed.
func (c *Committer) commitInTurn(ctx context.Context, effects Effects) answer {
	owed, err := owedRows(c.config.Subscriptions, effects.Events)
	if err != nil {
		return answer{err: err}
	}
	p := &pending{
		effects: effects,
		owed:    owed,
		keys:    append([]string{effects.Guard.GuardKey()}, effects.Touches...),
		done:    make(chan answer, 1),
	}
	if err := c.queue.put(p); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-p.done:
		return a
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	}
}

// Depth returns how many Effects wait for a commit.
func (c *Committer) Depth() int { return c.queue.depth() }

// Close commits what waits, refuses what comes and returns when all workers are
// done. A second call waits as well.
func (c *Committer) Close() {
	c.queue.close()
	c.workers.Wait()
}

func (c *Committer) work() {
	s := &session{db: c.config.DB, statements: map[string]*cachedStatement{}, sets: map[*Kind]*rowSet{}}
	defer s.reset()
	for {
		batch := c.queue.take(c.batchMax())
		if batch == nil {
			return
		}
		started := time.Now()
		c.run(s, batch)
		c.queue.committed()
		worked := time.Since(started)
		c.config.Metrics.batch(len(batch), worked)
		if c.config.Rest != nil {
			c.config.Rest(worked)
		}
	}
}

// batchMax is the most Effects of the next commit.
func (c *Committer) batchMax() int {
	if c.config.Short != nil && c.config.Short() {
		return min(smallBatch, c.config.BatchMax)
	}
	return c.config.BatchMax
}

// NewID returns a new UUIDv7: ids made later sort later, which keeps index
// inserts in one place.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
