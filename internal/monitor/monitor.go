package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/broker"
)

const (
	// fresh is for how long a snapshot is given out again: however many ask, the
	// servers are read once a second.
	fresh = time.Second
	// restShare of the time goes to reading at most, so that a backlog which takes
	// long to count is counted less often; restMax is the longest rest.
	restShare = 10
	restMax   = 4 * time.Second
	// readPatience bounds the reading of a snapshot.
	readPatience = 5 * time.Second
)

// Monitor reads how Sluice stands. It is safe for concurrent use. One per process.
type Monitor struct {
	db        *sqlx.DB
	conn      *broker.Conn
	books     *books.Books
	catalogs  *books.Catalogs
	endpoints []string
	now       func() time.Time

	reading chan struct{} // holds a token while nobody reads

	last  Snapshot // by whoever has the token, as all below
	err   error
	until time.Time // the last one is given out until then
}

// New returns a monitor of what a database and a broker hold; conn nil: only the
// database is looked at. endpoints are those of the game's own servers that the settings
// name; others are shown while something waits for them.
func New(db *sqlx.DB, conn *broker.Conn, endpoints ...string) *Monitor {
	m := &Monitor{
		db: db, conn: conn, books: books.New(db), catalogs: books.NewCatalogs(db), endpoints: endpoints, now: time.Now, reading: make(chan struct{}, 1),
	}
	m.reading <- struct{}{}
	return m
}

// Snapshot returns how Sluice stands, as of at most a few seconds ago: it is read at
// most once a second for all who ask, and more rarely when reading takes long. What
// could be read is returned beside the errors of what could not. Nobody may change it.
func (m *Monitor) Snapshot(ctx context.Context) (Snapshot, error) {
	select {
	case <-m.reading:
	case <-ctx.Done():
		return Snapshot{Problems: []string{ctx.Err().Error()}}, ctx.Err()
	}
	defer func() { m.reading <- struct{}{} }()
	began := m.now()
	if began.Before(m.until) {
		return m.last, m.err
	}
	// The others wait for the same reading: it does not end because one went away.
	readCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readPatience)
	defer cancel()
	m.last, m.err = m.read(readCtx, began)
	ended := m.now()
	m.until = ended.Add(min(restMax, max(fresh, restShare*ended.Sub(began))))
	return m.last, m.err
}

// read reads everything, the broker beside the database.
func (m *Monitor) read(ctx context.Context, now time.Time) (Snapshot, error) {
	s := Snapshot{At: now.UTC(), Problems: []string{}}
	var inBroker []broker.Lag
	var brokerErr error
	var both sync.WaitGroup
	if m.conn != nil {
		both.Go(func() { inBroker, brokerErr = m.readBroker(ctx) })
	}
	owed, err := m.readDatabase(ctx, now, &s)
	both.Wait()
	s.Consumers = merge(inBroker, owed)
	for i, lag := range s.Consumers {
		s.Consumers[i].Paused = s.paused(lag.Consumer, lag.Lane)
	}
	unread := func(lag Lag) bool { return lag.Error != "" }
	s.Reachable = Reachable{PostgreSQL: err == nil, NATS: m.conn != nil && brokerErr == nil && !slices.ContainsFunc(s.Consumers, unread)}
	if err = errors.Join(brokerErr, err); err != nil {
		s.Problems = strings.Split(err.Error(), "\n")
	}
	s.Verdict = Judge(s)
	return s, err
}

// readDatabase completes s by what PostgreSQL holds, but for the consumers, whose
// part it returns. One part that cannot be read does not hide the others.
func (m *Monitor) readDatabase(ctx context.Context, now time.Time, s *Snapshot) ([]owedRow, error) {
	owed, owedErr := m.readOwed(ctx, s)
	return owed, errors.Join(owedErr, m.readSpends(ctx, s), m.readEndpoints(ctx, s), m.readAttention(ctx, s),
		m.readDeadLetters(ctx, s), m.readBooks(ctx, s), m.readPurchases(ctx, s), m.readPauses(ctx, s), m.readWebhooks(ctx, now, s))
}
