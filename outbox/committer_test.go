package outbox_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestAcceptedSpendAndItsOutboxRowAreOneCommit(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, nil)
	spend := accepted(t, c, 1)[0]
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM spends WHERE id = $1 AND state = 'requested'", spend.ID))
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox WHERE event_id = $1 AND consumer = 'adjust'", spend.ID+".requested"))
}

func TestSameKeyTwiceIsADuplicateAndChangesNothing(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, nil)
	first := accepted(t, c, 1)[0]
	result, err := c.Commit(t.Context(), accept(newSpend(first.AppUserID, first.IdempotencyKey)))
	require.NoError(t, err)
	require.Equal(t, outbox.Duplicate, result)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM spends"))
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox"))
}

func TestSameKeyTwiceInOneBatchIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	release := blocked(t, db, c)
	wait := commitAll(t, c, []outbox.Effects{accept(newSpend("p", "k")), accept(newSpend("p", "k")), accept(newSpend("p", "k"))})
	require.Eventually(t, func() bool { return c.Depth() == 3 }, 5*time.Second, time.Millisecond)
	release()
	results := wait()
	require.Len(t, slices.DeleteFunc(results, func(v verdict) bool { return v.result != outbox.Applied }), 1)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox WHERE event_id LIKE '%.requested' AND payload->>'subject' = 'p'"))
}

// Two equal guards in one statement would both win, since neither sees the
// other's change; so they are never in one batch.
func TestEqualGuardsAreNeverInOneBatch(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	spend := accepted(t, c, 1)[0]
	spend2 := newSpend("q", "k")
	_, err := c.Commit(t.Context(), accept(spend2))
	require.NoError(t, err)
	release := blockedOn(t, db, c, "r")
	wait := commitAll(t, c, []outbox.Effects{declineMove(spend), declineMove(spend), declineMove(spend2), declineMove(spend)})
	require.Eventually(t, func() bool { return c.Depth() == 4 }, 5*time.Second, time.Millisecond)
	release()
	tally := map[outbox.Result]int{}
	for _, v := range wait() {
		require.NoError(t, v.err)
		tally[v.result]++
	}
	require.Equal(t, map[outbox.Result]int{outbox.Applied: 2, outbox.Stale: 2}, tally)
}

func TestCommitThatHangsDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, nil)
	release := blocked(t, db, c)
	defer release()
	result, err := c.Commit(t.Context(), accept(newSpend("another", "k"))) // returns while the other still waits for its row
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
}

func TestStaleGuardChangesNothing(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, nil)
	spend := accepted(t, c, 1)[0]
	spend.State = economy.Charged // what a worker with an old view believes
	change := economy.HandedOver(spend, &economy.Grant{SpendID: spend.ID, AppUserID: "p0", Item: "extra_life", Quantity: 1}, time.Now())
	result, err := c.Commit(t.Context(), outbox.Effects{
		Guard: books.Move{Change: change}, Rows: books.With(change, time.Now()),
		Events: []events.Event{events.NewSpendCharged(spend.ID, "p0", time.Now())},
		Done:   []outbox.Delivery{{EventID: spend.ID + ".requested", Consumer: "adjust"}},
	})
	require.NoError(t, err)
	require.Equal(t, outbox.Stale, result)
	require.Equal(t, 0, count(t, db, "SELECT count(*) FROM ledger_entries"))
	require.Equal(t, 0, count(t, db, "SELECT count(*) FROM inventory_grants"))
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox"))
}

func TestRefusedRowIsBisectedAndItsOwnerCommitsAlone(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	release := blocked(t, db, c)
	refused := newSpend("refused", "k")
	refused.Quantity = 0 // breaks spends_quantity_check
	all := []outbox.Effects{accept(refused)}
	for _, player := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		all = append(all, accept(newSpend(player, "k")))
	}
	wait := commitAll(t, c, all)
	require.Eventually(t, func() bool { return c.Depth() == len(all) }, 5*time.Second, time.Millisecond)
	release()
	verdicts := wait()
	var data *outbox.DataError
	require.ErrorAs(t, verdicts[0].err, &data)
	for _, v := range verdicts[1:] {
		require.Equal(t, verdict{result: outbox.Applied}, v)
	}
	require.Equal(t, 1+7, count(t, db, "SELECT count(*) FROM spends"))

	// What the owner sends next, sound as it is, shares a commit with nobody: its
	// row and the others' have different transaction ids.
	release = blockedOn(t, db, c, "again")
	wait = commitAll(t, c, []outbox.Effects{accept(newSpend("h", "k")), accept(newSpend("refused", "k2")), accept(newSpend("i", "k"))})
	require.Eventually(t, func() bool { return c.Depth() == 3 }, 5*time.Second, time.Millisecond)
	release()
	for _, v := range wait() {
		require.Equal(t, verdict{result: outbox.Applied}, v)
	}
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM spends WHERE xmin = (SELECT xmin FROM spends WHERE idempotency_key = 'k2')"))
	require.Equal(t, 2, count(t, db, "SELECT count(*) FROM spends WHERE xmin = (SELECT xmin FROM spends WHERE app_user_id = 'h')"))
}

func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	spends := accepted(t, c, 2)
	release := blockedOn(t, db, c, "r")
	wait := commitAll(t, c, []outbox.Effects{declineMove(spends[0]), declineMove(spends[1])})
	require.Eventually(t, func() bool { return c.Depth() == 2 }, 5*time.Second, time.Millisecond)
	// Somebody who takes the same two rows the other way round, and whose patience
	// outlasts the committer's: the committer is the victim.
	tx, err := db.Beginx()
	require.NoError(t, err)
	_, err = tx.Exec("SET LOCAL deadlock_timeout = '1min'")
	require.NoError(t, err)
	_, err = tx.Exec("SELECT 1 FROM spends WHERE id = $1 FOR UPDATE", spends[1].ID)
	require.NoError(t, err)
	release()
	waitForLockWaiters(t, db, 1)
	_, err = tx.Exec("SELECT 1 FROM spends WHERE id = $1 FOR UPDATE", spends[0].ID)
	require.NoError(t, err, "the other side of the deadlock was to be the victim")
	require.NoError(t, tx.Rollback())
	for _, v := range wait() {
		require.Equal(t, verdict{result: outbox.Applied}, v)
	}
}

func TestIntakeBeyondTheQueueIsRefusedAndLaterStepsAreNot(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Committers, config.QueueMax = 1, 2 })
	spend := accepted(t, c, 1)[0]
	release := blockedOn(t, db, c, "r")
	wait := commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k")), accept(newSpend("b", "k")), declineMove(spend)})
	require.Eventually(t, func() bool { return c.Depth() == 3 }, 5*time.Second, time.Millisecond)
	_, err := c.Commit(t.Context(), accept(newSpend("c", "k")))
	require.ErrorIs(t, err, outbox.ErrOverloaded)
	release()
	for _, v := range wait() {
		require.Equal(t, verdict{result: outbox.Applied}, v)
	}
}

func TestCloseCommitsWhatWaitsAndRefusesWhatComes(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	release := blocked(t, db, c)
	wait := commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k"))})
	require.Eventually(t, func() bool { return c.Depth() == 1 }, 5*time.Second, time.Millisecond)
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	release()
	<-closed
	require.Equal(t, verdict{result: outbox.Applied}, wait()[0])
	_, err := c.Commit(t.Context(), accept(newSpend("b", "k")))
	require.ErrorIs(t, err, outbox.ErrClosed)
}

func TestCommitterThatRestsAnswersFirstAndBeginsAfterwards(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	rested := make(chan struct{})
	c := committer(t, db, func(config *outbox.CommitterConfig) {
		oneAtATime(config)
		config.Rest = func(time.Duration) { <-rested }
	})
	accepted(t, c, 1)
	wait := commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k")), accept(newSpend("b", "k"))})
	require.Eventually(t, func() bool { return c.Depth() == 2 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM spends"))
	close(rested)
	wait()
	require.Equal(t, 3, count(t, db, "SELECT count(*) FROM spends"))
}

func TestEventWithoutConsumerIsRefusedBeforeAnythingIsCommitted(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Subscriptions = outbox.Subscriptions{} })
	_, err := c.Commit(t.Context(), accept(newSpend("a", "k")))
	require.ErrorContains(t, err, "no consumer is declared")
	require.Equal(t, 0, count(t, db, "SELECT count(*) FROM spends"))
}
