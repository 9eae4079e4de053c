package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// A transaction held open elsewhere keeps every dead row in the index. The sweeper looks
// once a second, and must not pass them all each time.
func TestALookCostsWhatCameSinceTheLastOne(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	holder, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = holder.Rollback() }()
	_, err = holder.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	require.NoError(t, err)
	_, err = holder.Exec("SELECT count(*) FROM outbox")
	require.NoError(t, err)

	_, err = db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, due_at, published_at)
		SELECT n, 'adjust', 'live', 'sluice.live.test.00', '{}', now() - interval '1 hour', now() - interval '1 hour' FROM generate_series(1, 20000) n`)
	require.NoError(t, err)
	_, err = db.Exec("DELETE FROM outbox")
	require.NoError(t, err)

	db.SetMaxOpenConns(2) // the holder's, and one that tells what it read itself
	read := func() int {
		_, err := db.Exec("SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		return pagesRead(t, db)
	}
	sweep := sweeper(db, s)
	look := func() int {
		before := read()
		require.NoError(t, sweep.Sweep(t.Context()))
		return read() - before
	}
	whole, next := look(), look()
	t.Logf("pages of a look with 20,000 dead rows: %d from the start, %d after it", whole, next)
	require.Greater(t, whole, 200)
	require.Less(t, next, whole/10)
}

// A row whose transaction took long comes to lie before where looks begin: one from the
// start finds it, a minute later at the latest.
func TestWhatCameLateIsFoundByAWholeLook(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	now := time.Now()
	sweep := sweeper(db, s)
	sweep.Now = func() time.Time { return now }
	require.NoError(t, sweep.Sweep(t.Context()))
	accepted(t, committer(t, db, nil), 1)
	age(t, db, time.Hour)
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Zero(t, s.messages(t), "if it is found here, looks read everything again")
	now = now.Add(time.Minute)
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Equal(t, 1, s.messages(t))
}

// As long as a queue has something that may be owed, looks begin before it.
func TestALookForgetsNothingThatIsNotOwedYet(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = outbox.NewRelay(s.conn, 0, nil) })
	accepted(t, c, 1)
	msg := s.next(t) // unfinished: what is as old waits behind it
	sweep := sweeper(db, s)
	age(t, db, 6*time.Second)
	_, err := db.Exec("UPDATE outbox SET published_at = now()") // it may still be on its way
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, sweep.Sweep(t.Context()))
	}
	require.Equal(t, 1, s.messages(t))
	require.NoError(t, msg.Ack())
	_, err = db.Exec("UPDATE outbox SET published_at = published_at - interval '10 seconds'")
	require.NoError(t, err)
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Equal(t, 2, s.messages(t))
}

// Behind more rows of one queue than a look reads, those of another are found as well:
// now and then, since reading on takes long.
func TestALookFindsWhatLiesBehindABacklog(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	_, err := db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, due_at, published_at)
		SELECT n, 'access', 'bulk', 'sluice.bulk.test.00', '{}', now() - interval '2 hours', now() - interval '2 hours' FROM generate_series(1, 3000) n`)
	require.NoError(t, err)
	accepted(t, committer(t, db, nil), 1)
	lost := func() {
		t.Helper()
		_, err := db.Exec("UPDATE outbox SET due_at = now() - interval '1 hour', published_at = now() - interval '1 hour' WHERE consumer <> 'access'")
		require.NoError(t, err)
	}
	now := time.Now()
	sweep := sweeper(db, s)
	sweep.Now = func() time.Time { now = now.Add(time.Second); return now } // what a look takes, and more
	lost()
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Equal(t, 1, s.messages(t))
	lost()
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Equal(t, 1, s.messages(t), "it read on for a second, and does not for some minutes")
	now = now.Add(time.Hour)
	require.NoError(t, sweep.Sweep(t.Context()))
	require.Equal(t, 2, s.messages(t))
}
