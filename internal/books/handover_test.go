package books_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// What was found out about an item is settled once: taken back, and then it can
// never be fulfilled, or kept, and then it can never be refunded.
func TestAHandOverIsSettledOnce(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c, b := newCommitter(t, db), books.New(db)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	refunding := func(key string) economy.Spend {
		spend := newSpend("p", key)
		_, err := c.Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: spend}})
		require.NoError(t, err)
		_, err = db.Exec(`INSERT INTO adjustments (id, app_user_id, purpose, state, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id, settled_at)
			VALUES ($1, 'p', 'charge', 'applied', $2, '', '{}', '', now(), now(), $1, now())`, spend.ID, key)
		require.NoError(t, err)
		_, err = db.Exec("UPDATE spends SET adjustment_id = id, left_state = 'requested', state = 'charged', charged_at = $2 WHERE id = $1", spend.ID, now)
		require.NoError(t, err)
		spend, err = b.Spend(t.Context(), spend.ID)
		require.NoError(t, err)
		_, err = c.Commit(t.Context(), outbox.Effects{Guard: books.Move{Change: economy.HandOverRefusedFor(spend)}})
		require.NoError(t, err)
		spend, err = b.Spend(t.Context(), spend.ID)
		require.NoError(t, err)
		return spend
	}
	settle := func(change economy.Change, note string) outbox.Result {
		result, err := c.Commit(t.Context(), outbox.Effects{Guard: books.SettleHandOver{Change: change, Note: note}, Rows: books.With(change, now)})
		require.NoError(t, err)
		return result
	}

	spend := refunding("taken back")
	list, err := b.Undelivered(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.InDelta(t, time.Since(now).Seconds(), list[0].Age, 600)
	list[0].Age = 0
	require.Equal(t, []books.Undelivered{{CatalogVersion: 7, Item: "extra_life", State: economy.Refunding, Spends: 1}}, list)
	_, err = db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, owed_since, due_at, published_at, attempts, last_error)
		VALUES ($1::text || '.refunding', 'compensate', 'live', 's', '{}', $2, $3, NULL, 12, 'endpoint game: answered 503')`, spend.ID, now.Add(time.Hour), now.Add(2*time.Hour))
	require.NoError(t, err)
	oldest, err := b.UndeliveredOf(t.Context(), list, 10)
	require.NoError(t, err)
	require.Len(t, oldest, 1)
	waits := oldest[0]
	require.Equal(t, spend.ID, waits.ID)
	require.True(t, waits.Since.Equal(now.Add(time.Hour)), "since it is to be taken back, not since it was charged")
	require.True(t, waits.NextAt.Equal(now.Add(2*time.Hour)))
	require.EqualValues(t, 12, waits.Attempts)
	require.Equal(t, "endpoint game: answered 503", waits.LastError)
	oldest, err = b.UndeliveredOf(t.Context(), []books.Undelivered{{CatalogVersion: 8, Item: "extra_life"}}, 10)
	require.NoError(t, err)
	require.Empty(t, oldest)
	require.Equal(t, outbox.Applied, settle(economy.TakenBack(spend, now), "the server is gone"))
	require.Equal(t, outbox.Stale, settle(economy.Kept(spend, now), ""), "by somebody who read it before")
	require.Equal(t, outbox.Stale, settle(economy.TakenBack(spend, now), ""))
	read, err := b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	require.True(t, read.RevokedAt.Equal(now))
	require.Equal(t, "the server is gone", read.Note)
	_, err = c.Commit(t.Context(), outbox.Effects{Guard: books.Move{Change: economy.Kept(spend, now)}})
	require.ErrorContains(t, err, "spends_revoked_is_given_back_check", "the database's own rule, whatever the guard")
	list, err = b.Undelivered(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)

	spend = refunding("kept")
	_, err = db.Exec("UPDATE spends SET held = true WHERE id = $1", spend.ID)
	require.NoError(t, err)
	spend.Held = true
	require.Equal(t, outbox.Applied, settle(economy.Kept(spend, now), ""))
	require.Equal(t, outbox.Stale, settle(economy.TakenBack(spend, now), ""))
	read, err = b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	require.Equal(t, economy.Fulfilled, read.State)
	require.Zero(t, read.RevokedAt)
	require.False(t, read.Held, "nothing is begun for it any more")

	// The game took it back all the same, and an operator saw to it.
	require.Equal(t, outbox.Applied, settle(economy.GoneAfterAll(read), ""))
	marks, err := b.Attention(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, marks, 1)
	require.Equal(t, economy.TakenByGame, marks[0].Spend.NeedsOperator)
	marked, err := b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	require.Equal(t, economy.Fulfilled, marked.State)
	require.Equal(t, read.FinishedAt, marked.FinishedAt)
	require.Zero(t, economy.GoneAfterAll(marked), "once")
	require.Equal(t, outbox.Applied, settle(economy.ThereAfterAll(marked), "given by hand"))
	marked, err = b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	require.Empty(t, marked.NeedsOperator)
	require.Zero(t, economy.ThereAfterAll(marked))
}
