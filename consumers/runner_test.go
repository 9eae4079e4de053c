package consumers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// scripted is a consumer that does what the test says.
type scripted struct {
	mu       sync.Mutex
	attempts int
	consume  func(attempt int, event events.Event) (outbox.Effects, error)
	call     func(ctx context.Context) error // before that; nil: none
}

func (s *scripted) Spec() consumers.Spec {
	return consumers.Spec{
		Name: "adjust", Types: []events.Type{events.SpendRequestedV1}, Lanes: []events.Lane{events.Live},
		Retry: consumers.RetryPolicy{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond},
	}
}

func (s *scripted) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	s.mu.Lock()
	s.attempts++
	attempt := s.attempts
	s.mu.Unlock()
	if s.call != nil {
		if err := s.call(ctx); err != nil {
			return outbox.Effects{}, err
		}
	}
	return s.consume(attempt, event)
}

func (s *scripted) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// line is a whole road from committer over stream to a scripted consumer.
type line struct {
	db        *sqlx.DB
	conn      *broker.Conn
	committer *outbox.Committer
	consumer  *scripted
	stop      func() error // once
}

func newLine(t *testing.T, consume func(int, events.Event) (outbox.Effects, error)) *line {
	t.Helper()
	return newLineThatDrains(t, time.Minute, consume)
}

// newLineThatDrains is a line whose stop waits for so long.
func newLineThatDrains(t *testing.T, drain time.Duration, consume func(int, events.Event) (outbox.Effects, error)) *line {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: t.TempDir(), Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := broker.Connect(t.Context(), broker.Config{URL: server.URL(), Name: "test", Log: log})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	consumer := &scripted{consume: consume}
	spec := consumer.Spec()
	durable := broker.Durable{Consumer: spec.Name, Lane: events.Live, Types: spec.Types, AckWait: consumers.AckWait}
	require.NoError(t, conn.Reconcile(t.Context(), []broker.Durable{durable}))
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{
		DB: db, Subscriptions: consumers.Subscriptions([]consumers.Spec{spec}), Relay: outbox.NewRelay(conn, 0, nil), Log: log,
	})
	t.Cleanup(committer.Close)
	runner := &consumers.Runner{Consumer: consumer, Committer: committer, Log: log, Metrics: consumers.NewMetrics(nil)}
	router, err := consumers.NewRouter(log, []*consumers.Runner{runner}, drain, func(consumers.Spec, events.Lane) (message.Subscriber, string, error) {
		sub, err := broker.NewSubscriber(conn, durable, broker.SubscriberConfig{DrainTimeout: drain})
		return sub, durable.Name(), err
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return &line{db, conn, committer, consumer, stop}
}

// accept commits a spend, whose event goes down the line, and returns its id.
func (l *line) accept(t *testing.T) string {
	t.Helper()
	spend := economy.Spend{
		ID: outbox.NewID(), AppUserID: "p", IdempotencyKey: outbox.NewID(), Item: "extra_life", Quantity: 1,
		Cost: economy.Amounts{"GEM": 50}, CatalogVersion: 1, State: economy.Requested, AcceptedAt: time.Now(),
	}
	_, err := l.committer.Commit(t.Context(), outbox.Effects{
		Guard: books.Accept{Spend: spend}, Events: []events.Event{events.NewSpendRequested(spend.ID, "p", spend.AcceptedAt)},
	})
	require.NoError(t, err)
	return spend.ID
}

func (l *line) count(t *testing.T, query string) int {
	t.Helper()
	var n int
	require.NoError(t, l.db.Get(&n, query))
	return n
}

// settled waits until the broker has nothing unfinished for the consumer.
func (l *line) settled(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		if l.consumer.tried() == 0 { // first: before it is published nothing is unfinished, either
			return false
		}
		_, unfinished, err := l.conn.OldestUnfinished(t.Context(), "adjust", events.Live)
		return err == nil && !unfinished
	}, 20*time.Second, 5*time.Millisecond)
}

const owed = "SELECT count(*) FROM outbox"

func finish(event events.Event) outbox.Effects {
	return outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: "adjust"}}
}

func decline(t *testing.T, l *line, event events.Event) outbox.Effects {
	t.Helper()
	id, err := event.SpendID()
	require.NoError(t, err)
	spend, err := books.New(l.db).Spend(t.Context(), id)
	require.NoError(t, err)
	spend.State = economy.Requested
	change := economy.Settle(spend, economy.Outcome{Kind: economy.Insufficient}, time.Now())
	return outbox.Effects{Guard: books.Move{Change: change}, Rows: books.With(change, time.Now())}
}

func TestEffectAndEndOfDeliveryAreOneCommit(t *testing.T) {
	t.Parallel()
	var l *line
	l = newLine(t, func(_ int, event events.Event) (outbox.Effects, error) { return decline(t, l, event), nil })
	l.accept(t)
	l.settled(t)
	require.Equal(t, 0, l.count(t, owed))
	require.Equal(t, 1, l.count(t, "SELECT count(*) FROM spends s JOIN spends o USING (id) WHERE s.state = 'declined'"))
	require.Equal(t, 1, l.consumer.tried())
}

func TestFailedAttemptComesAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(attempt int, event events.Event) (outbox.Effects, error) {
		if attempt < 4 {
			return outbox.Effects{}, errors.New("not yet")
		}
		return finish(event), nil
	})
	l.accept(t)
	require.Eventually(t, func() bool { return l.count(t, owed) == 0 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 4, l.consumer.tried())
}

func TestLongWaitParksInTheOutboxAndFreesTheBroker(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(int, events.Event) (outbox.Effects, error) {
		return outbox.Effects{}, &adjustments.Retry{After: time.Minute, Err: errors.New("provider is down")}
	})
	l.accept(t)
	l.settled(t)
	require.Equal(t, 1, l.count(t, owed+" WHERE published_at IS NULL AND due_at > now() + interval '50 s' AND attempts = 1 AND last_error LIKE '%provider is down%'"))
	require.Equal(t, 1, l.consumer.tried())
}

func TestWaitingForTheProvidersLimitIsNoAttempt(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(int, events.Event) (outbox.Effects, error) {
		return outbox.Effects{}, &adjustments.Retry{After: time.Minute, SentAway: true, Err: errors.New("not sent")}
	})
	l.accept(t)
	l.settled(t)
	require.Equal(t, 1, l.count(t, owed+" WHERE published_at IS NULL AND due_at > now() + interval '50 s' AND attempts = 0 AND last_error = 'not sent'"))
}

func TestPermanentErrorBecomesADeadLetterInTheCommitThatEndsTheDelivery(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(int, events.Event) (outbox.Effects, error) {
		return outbox.Effects{}, consumers.Permanent(errors.New("no such spend"))
	})
	id := l.accept(t)
	l.settled(t)
	require.Equal(t, 0, l.count(t, owed))
	require.Equal(t, 1, l.count(t, fmt.Sprintf("SELECT count(*) FROM dead_letters WHERE event_id = '%s.requested' AND error = 'no such spend'", id)))
}

func TestPanicIsTriedAgainAndThenSetAsideWithItsStack(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(int, events.Event) (outbox.Effects, error) { panic("a mistake of ours") })
	l.accept(t)
	require.Eventually(t, func() bool { return l.count(t, "SELECT count(*) FROM dead_letters") == 1 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 5, l.consumer.tried())
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM dead_letters WHERE stack LIKE '%runner_test.go%' AND attempts = 5 AND reason = 'panic'
		AND json_array_length(failures) = 5 AND failures->0->>'error' = 'panic: a mistake of ours' AND owed_since IS NOT NULL
		AND type = 'spend.requested.v1' AND app_user_id = 'p'`))
	require.Equal(t, 0, l.count(t, owed))
}

func TestMessageThatIsNoEventIsSetAside(t *testing.T) {
	t.Parallel()
	l := newLine(t, func(_ int, event events.Event) (outbox.Effects, error) { return finish(event), nil })
	stored := make(chan error, 1)
	l.conn.Publish(events.SubjectOf(events.Live, events.SpendRequestedV1, 3), "not-an-event", []byte("{\x00 nonsense"), nil, func(err error) { stored <- err })
	require.NoError(t, <-stored)
	l.accept(t) // what comes behind it is not held up
	require.Eventually(t, func() bool {
		return l.count(t, "SELECT count(*) FROM dead_letters WHERE event_id = 'not-an-event' AND reason = 'malformed' AND headers IS NOT NULL") == 1
	}, 20*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return l.count(t, owed) == 0 }, 20*time.Second, 5*time.Millisecond)
}

func TestStaleEffectsAreDecidedAnew(t *testing.T) {
	t.Parallel()
	var l *line
	l = newLine(t, func(attempt int, event events.Event) (outbox.Effects, error) {
		if attempt == 1 { // somebody else is faster
			_, err := l.db.Exec("UPDATE spends SET left_state = state, state = 'declined', finished_at = now(), change_id = gen_random_uuid()")
			require.NoError(t, err)
			return decline(t, l, event), nil
		}
		return finish(event), nil
	})
	l.accept(t)
	require.Eventually(t, func() bool { return l.count(t, owed) == 0 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 2, l.consumer.tried())
}

func TestStopFinishesWhatIsInHandAndMakesNoDeadLetter(t *testing.T) {
	t.Parallel()
	inHand, goOn := make(chan struct{}), make(chan struct{})
	l := newLine(t, func(_ int, event events.Event) (outbox.Effects, error) {
		close(inHand)
		<-goOn
		return finish(event), nil
	})
	l.accept(t)
	<-inHand
	stopped := make(chan error, 1)
	go func() { stopped <- l.stop() }()
	close(goOn)
	require.NoError(t, <-stopped)
	require.Equal(t, 0, l.count(t, owed))
	require.Equal(t, 0, l.count(t, "SELECT count(*) FROM dead_letters"))
}

// TestADrainThatWasCutSaysSo: what is in hand is worked on until its time is over, then
// it is cancelled, and whoever stopped the role hears of it. The delivery stays owed.
func TestADrainThatWasCutSaysSo(t *testing.T) {
	t.Parallel()
	inHand := make(chan struct{}, 1)
	l := newLineThatDrains(t, 100*time.Millisecond, func(_ int, event events.Event) (outbox.Effects, error) { return finish(event), nil })
	l.consumer.call = func(ctx context.Context) error {
		inHand <- struct{}{}
		<-ctx.Done()
		return errors.New("the call was broken off")
	}
	l.accept(t)
	<-inHand
	require.ErrorContains(t, l.stop(), "the stop cut 1 deliveries that had not finished after 100ms")
	require.Equal(t, 1, l.count(t, owed))
	require.Equal(t, 0, l.count(t, "SELECT count(*) FROM dead_letters"))
}
