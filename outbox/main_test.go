package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// subscriptions stands for the table of Specs.
var subscriptions = outbox.Subscriptions{
	events.SpendRequestedV1: {"adjust"}, events.SpendChargedV1: {"fulfil"}, events.SpendRefundingV1: {"compensate"},
}

// committer starts a committer on db that ends with the test.
func committer(t *testing.T, db *sqlx.DB, change func(*outbox.CommitterConfig)) *outbox.Committer {
	t.Helper()
	config := outbox.CommitterConfig{DB: db, Subscriptions: subscriptions, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	c := outbox.NewCommitter(config)
	t.Cleanup(c.Close)
	return c
}

// oneAtATime has a single commit run at once, so that what is queued behind it
// is the next batch.
func oneAtATime(config *outbox.CommitterConfig) { config.Committers = 1 }

// newSpend makes a spend nobody has seen yet.
func newSpend(player, key string) economy.Spend {
	return economy.Spend{
		ID: outbox.NewID(), AppUserID: player, IdempotencyKey: key, Item: "extra_life", Quantity: 1,
		Cost: economy.Amounts{"GEM": 50}, CatalogVersion: 1, State: economy.Requested, AcceptedAt: time.Now(),
	}
}

// accept returns the effects that accept a spend.
func accept(spend economy.Spend) outbox.Effects {
	return outbox.Effects{
		Guard:  books.Accept{Spend: spend},
		Events: []events.Event{events.NewSpendRequested(spend.ID, spend.AppUserID, spend.AcceptedAt)},
		Owner:  spend.AppUserID,
		Intake: true,
	}
}

// declineMove returns the effects that decline a spend.
func declineMove(spend economy.Spend) outbox.Effects {
	change := economy.Settle(spend, economy.Outcome{Kind: economy.Insufficient}, time.Now())
	return outbox.Effects{Guard: books.Move{Change: change}, Rows: books.With(change, time.Now())}
}

// accepted stores n spends of as many players.
func accepted(t *testing.T, c *outbox.Committer, n int) []economy.Spend {
	t.Helper()
	spends := make([]economy.Spend, n)
	for i := range spends {
		spends[i] = newSpend(fmt.Sprintf("p%d", i), "k")
		result, err := c.Commit(t.Context(), accept(spends[i]))
		require.NoError(t, err)
		require.Equal(t, outbox.Applied, result)
	}
	return spends
}

type verdict struct {
	result outbox.Result
	err    error
}

// commitAll commits all effects at once and returns what became of each.
func commitAll(t *testing.T, c *outbox.Committer, all []outbox.Effects) func() []verdict {
	t.Helper()
	done := make([]chan verdict, len(all))
	for i, effects := range all {
		done[i] = make(chan verdict, 1)
		go func() {
			result, err := c.Commit(context.WithoutCancel(t.Context()), effects)
			done[i] <- verdict{result, err}
		}()
	}
	return func() []verdict {
		list := make([]verdict, len(all))
		for i := range done {
			list[i] = <-done[i]
		}
		return list
	}
}

// blocked holds the committer's only worker in a commit that waits for a row
// lock, until release is called.
func blocked(t *testing.T, db *sqlx.DB, c *outbox.Committer) (release func()) {
	t.Helper()
	return blockedOn(t, db, c, "blocker")
}

// blockedOn is blocked with a spend of a player of its own.
func blockedOn(t *testing.T, db *sqlx.DB, c *outbox.Committer, player string) (release func()) {
	t.Helper()
	spend := newSpend(player, "k")
	_, err := c.Commit(t.Context(), accept(spend))
	require.NoError(t, err)
	tx, err := db.Beginx()
	require.NoError(t, err)
	_, err = tx.Exec("SELECT 1 FROM spends WHERE id = $1 FOR UPDATE", spend.ID)
	require.NoError(t, err)
	wait := commitAll(t, c, []outbox.Effects{declineMove(spend)})
	waitForLockWaiters(t, db, 1)
	return func() {
		require.NoError(t, tx.Rollback())
		require.Equal(t, verdict{result: outbox.Applied}, wait()[0])
	}
}

// waitForLockWaiters waits until n sessions of the test's database wait for a lock.
func waitForLockWaiters(t *testing.T, db *sqlx.DB, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := db.Get(&waiting, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		return err == nil && waiting >= n
	}, 10*time.Second, 2*time.Millisecond)
}

func count(t *testing.T, db *sqlx.DB, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, db.Get(&n, query, args...))
	return n
}
