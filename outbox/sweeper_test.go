package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// stream is a real JetStream with the consumer adjust on it, and a second
// connection to look at it and to break it.
type stream struct {
	conn *broker.Conn
	js   jetstream.JetStream
}

func newStream(t *testing.T) stream {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: t.TempDir(), Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := broker.Connect(t.Context(), broker.Config{URL: server.URL(), Name: "test", Log: log})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	adjust := broker.Durable{Consumer: "adjust", Lane: events.Live, Types: []events.Type{events.SpendRequestedV1}}
	require.NoError(t, conn.Reconcile(t.Context(), []broker.Durable{adjust}))
	nc, err := nats.Connect(server.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return stream{conn, js}
}

// messages returns how many messages the stream holds.
func (s stream) messages(t *testing.T) int {
	t.Helper()
	info, err := s.js.Stream(t.Context(), broker.StreamName)
	require.NoError(t, err)
	return int(info.CachedInfo().State.Msgs)
}

// next takes a message from the consumer and leaves it unfinished.
func (s stream) next(t *testing.T) jetstream.Msg {
	t.Helper()
	consumer, err := s.js.Consumer(t.Context(), broker.StreamName, "adjust")
	require.NoError(t, err)
	msg, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
	require.NoError(t, err)
	return msg
}

func sweeper(db *sqlx.DB, s stream) *outbox.Sweeper {
	return &outbox.Sweeper{
		DB: db, Queues: []outbox.Queue{{Consumer: "adjust", Lane: events.Live}}, Backlog: s.conn, Publisher: s.conn,
		Log: slog.New(slog.DiscardHandler), Metrics: outbox.NewMetrics(nil),
	}
}

// age makes every row look as if it was published that long ago.
func age(t *testing.T, db *sqlx.DB, by time.Duration) {
	t.Helper()
	_, err := db.Exec(`UPDATE outbox SET due_at = due_at - $1 * interval '1 millisecond',
		published_at = published_at - $1 * interval '1 millisecond'`, by.Milliseconds())
	require.NoError(t, err)
}

func TestRelayPublishesWhatWasCommittedUnderTheEventsOwnID(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = outbox.NewRelay(s.conn, 0, nil) })
	spend := accepted(t, c, 1)[0]
	msg := s.next(t)
	require.Equal(t, spend.ID+".requested", msg.Headers().Get("Nats-Msg-Id"))
	event, err := events.Decode(msg.Data())
	require.NoError(t, err)
	require.Equal(t, spend.ID+".requested", event.ID)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox"), "the row outlives the message")
}

func TestSweeperPublishesWhatWasCommittedAndNeverPublished(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	accepted(t, committer(t, db, nil), 3) // no relay: as if the process died after the commit
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 0, s.messages(t), "too fresh: the relay may still be at it")
	age(t, db, time.Minute)
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 3, s.messages(t))
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 3, s.messages(t), "a second sweep finds nothing owed")
}

func TestSweeperLeavesAloneWhatTheConsumerStillHasBeforeIt(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = outbox.NewRelay(s.conn, 0, nil) })
	accepted(t, c, 1)
	s.next(t) // unfinished
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 1, s.messages(t))
	age(t, db, time.Minute) // older than the oldest unfinished message: that one is not it
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 2, s.messages(t))
}

func TestPostgreSQLIsTheTruthWhenTheStreamIsWiped(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = outbox.NewRelay(s.conn, 0, nil) })
	spends := accepted(t, c, 5)
	require.Eventually(t, func() bool { return s.messages(t) == 5 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, s.js.DeleteStream(t.Context(), broker.StreamName))
	age(t, db, time.Minute)
	sweep := sweeper(db, s)
	require.Eventually(t, func() bool {
		_ = sweep.Sweep(t.Context()) // fails until the stream is created again
		stream, err := s.js.Stream(t.Context(), broker.StreamName)
		if err != nil {
			return false
		}
		if stream.CachedInfo().State.Msgs < 5 {
			age(t, db, time.Minute)
			return false
		}
		return true
	}, 30*time.Second, 20*time.Millisecond)
	seen := map[string]bool{}
	for len(seen) < len(spends) {
		msg := s.next(t)
		require.NoError(t, msg.Ack())
		event, err := events.Decode(msg.Data())
		require.NoError(t, err)
		seen[event.ID] = true
	}
}

func TestParkedDeliveryComesBackWhenItIsDueWithItsAttempts(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	c := committer(t, db, nil)
	spend := accepted(t, c, 1)[0]
	delivery := outbox.Delivery{EventID: spend.ID + ".requested", Consumer: "adjust"}
	result, err := c.Commit(t.Context(), outbox.Effects{Guard: outbox.Park{Delivery: delivery, Wait: time.Hour, Attempts: 7, Error: "provider is down"}})
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 0, s.messages(t))
	_, err = db.Exec("UPDATE outbox SET due_at = now()")
	require.NoError(t, err)
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	msg := s.next(t)
	require.Equal(t, "7", msg.Headers().Get(outbox.HeaderAttempts))
	require.Equal(t, delivery.EventID+".1", msg.Headers().Get("Nats-Msg-Id"), "the broker's window must not swallow a repair")
}

func TestRelayOverflowIsLeftToTheSweeper(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	stuck := &stuckPublisher{}
	relay := outbox.NewRelay(stuck, 2, nil)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = relay })
	accepted(t, c, 5)
	require.Equal(t, 2, stuck.count())
	require.Equal(t, 2, relay.InFlight())
	age(t, db, time.Minute)
	require.NoError(t, sweeper(db, s).Sweep(t.Context()))
	require.Equal(t, 5, s.messages(t))
}

// stuckPublisher is a broker that never answers.
type stuckPublisher struct {
	mu sync.Mutex
	n  int
}

func (p *stuckPublisher) Publish(string, string, []byte, map[string]string, func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
}

func (p *stuckPublisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func TestOneSweeperAtATime(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	accepted(t, committer(t, db, nil), 40)
	age(t, db, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { _ = sweeper(db, s).Run(ctx) })
	}
	require.Eventually(t, func() bool { return s.messages(t) == 40 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"))
	cancel()
	group.Wait()
	require.Equal(t, 40, s.messages(t))
	require.Equal(t, 40, count(t, db, "SELECT count(*) FROM outbox WHERE republished = 1"))
}

// A transaction held open elsewhere keeps every dead row alive. The path of one
// event must not read them: its cost in pages stays what it was at the start.
func TestHeldTransactionCostsNoThroughput(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	holder, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = holder.Rollback() }()
	_, err = holder.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	require.NoError(t, err)
	_, err = holder.Exec("SELECT count(*) FROM outbox")
	require.NoError(t, err)

	const events = 400
	round := func(name string) float64 {
		before := pagesRead(t, db)
		c := committer(t, db, oneAtATime)
		for i := range events {
			spend := newSpend(fmt.Sprintf("%s%d", name, i), "k")
			_, err := c.Commit(t.Context(), accept(spend))
			require.NoError(t, err)
			_, err = c.Commit(t.Context(), outbox.Effects{Guard: outbox.Finish{EventID: spend.ID + ".requested", Consumer: "adjust"}})
			require.NoError(t, err)
		}
		c.Close() // its session ends, and reports what it read
		require.Eventually(t, func() bool { return pagesRead(t, db) > before }, 10*time.Second, 5*time.Millisecond)
		return float64(pagesRead(t, db)-before) / events
	}
	first := round("a")
	for i := range 4 {
		round(fmt.Sprint("b", i))
	}
	last := round("c")
	t.Logf("pages per event: %.1f at first, %.1f with %d dead rows pinned", first, last, 5*events)
	require.Less(t, last, 2*first)
}

// pagesRead returns the pages of the outbox and its indexes that were read so far.
func pagesRead(t *testing.T, db *sqlx.DB) int {
	t.Helper()
	return count(t, db, `SELECT coalesce(sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read), 0)
		FROM pg_statio_user_tables WHERE relname = 'outbox'`)
}
