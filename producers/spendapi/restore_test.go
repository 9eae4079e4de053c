package spendapi

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/purchases"
)

func TestARestoreReadsThePlayerOnceAMinute(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	ask := func(status int) restoreTold {
		t.Helper()
		w := b.do(t, restore())
		require.Equal(t, status, w.Code, w.Body)
		require.Equal(t, map[int]string{http.StatusAccepted: "2"}[status], w.Header().Get("Retry-After"))
		var answer struct{ Restore restoreTold }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		return answer.Restore
	}
	done := func() {
		_, err := b.db.ExecContext(t.Context(), "DELETE FROM outbox WHERE consumer = 'resync'") // what its commit does
		require.NoError(t, err)
	}
	golden(t, "restore_running", b.do(t, restore()).Body.Bytes())
	first := ask(http.StatusAccepted)
	var taps sync.WaitGroup
	for range 20 {
		taps.Go(func() { require.Equal(t, first, ask(http.StatusAccepted)) })
	}
	taps.Wait()
	require.Equal(t, 1, b.wishes(t))
	require.Equal(t, http.StatusAccepted, b.do(t, restore().as("another")).Code)
	require.Equal(t, 2, b.wishes(t))

	b.clock.add(2 * time.Minute)
	require.Equal(t, first, ask(http.StatusAccepted), "while it is under way, it is the same one")
	done()
	b.clock.add(-2*time.Minute + 59*time.Second)
	first.State = purchases.ResyncFinished
	require.Equal(t, first, ask(http.StatusOK))
	require.Zero(t, b.wishes(t))
	b.clock.add(time.Second)
	second := ask(http.StatusAccepted)
	require.Equal(t, first.NextAt, second.RequestedAt)
	require.Equal(t, 1, b.wishes(t))

	done()
	b.clock.add(-time.Hour) // the clock of who wrote it was ahead
	require.Equal(t, start.Add(time.Minute-time.Hour).UTC().Truncate(time.Microsecond), ask(http.StatusAccepted).RequestedAt)
}

func TestARestoreThatFailedSaysSo(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	require.Equal(t, http.StatusAccepted, b.do(t, restore()).Code)
	_, err := b.db.ExecContext(t.Context(), `WITH gone AS (DELETE FROM outbox RETURNING *)
		INSERT INTO dead_letters (attempts, event_id, consumer, lane, subject, error, payload) SELECT 1, event_id, consumer, lane, subject, 'x', '' FROM gone`)
	require.NoError(t, err)
	b.clock.add(20 * time.Second)
	w := b.do(t, restore())
	requireProblem(t, w, RestoreFailed)
	require.Equal(t, "40", w.Header().Get("Retry-After"))
	b.clock.add(40 * time.Second)
	require.Equal(t, http.StatusAccepted, b.do(t, restore()).Code)
	require.Equal(t, http.StatusMethodNotAllowed, b.do(t, get("/purchases/restore")).Code)
}
