package pacing

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rested is how long a pacer rests after a step.
func rested(t *testing.T, p Pacer, worked time.Duration, stopped bool) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if stopped {
			cancel()
		}
		began := time.Now()
		p.Rest(ctx, worked)
		took = time.Since(began)
	})
	return took
}

const restMax = time.Second

func TestWorkTakesItsShareWhilePlayersSpend(t *testing.T) {
	t.Parallel()
	always := func() bool { return true }
	for name, c := range map[string]struct {
		pacer        Pacer
		worked, want time.Duration
	}{
		"a quarter":      {Pacer{Spending: always, Share: 0.25, RestMax: restMax}, 10 * time.Millisecond, 30 * time.Millisecond},
		"all of it":      {Pacer{Spending: always, Share: 1, RestMax: restMax}, 10 * time.Millisecond, 0},
		"nobody spends":  {Pacer{Spending: func() bool { return false }, Share: 0.25, RestMax: restMax}, 10 * time.Millisecond, 0},
		"never for long": {Pacer{Spending: always, Share: 0.25, RestMax: restMax}, time.Minute, restMax},
	} {
		require.Equal(t, c.want, rested(t, c.pacer, c.worked, false), name)
	}
	require.Zero(t, rested(t, Pacer{Spending: always, Share: 0.25, RestMax: restMax}, time.Second, true), "whoever is to stop does not rest")
}

func TestPlayersSpendUntilAMomentAfterTheLastSpend(t *testing.T) {
	t.Parallel()
	p := &Players{DB: testenv.Postgres(t)}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	look := func() bool {
		t.Helper()
		require.NoError(t, p.look(t.Context(), now))
		return p.Spending()
	}
	require.True(t, p.Spending(), "nobody knows")
	require.True(t, look(), "one look tells of no spend, and of none that there is not")
	require.False(t, look(), "what was there before is long ago")
	for _, sequence := range []string{"spends_seq_seq", "adjustments_seq_seq"} {
		_, err := p.DB.Exec("SELECT nextval($1), nextval($1)", sequence) // the first value of a sequence is there before it is used
		require.NoError(t, err)
		require.True(t, look(), sequence)
		now = now.Add(lingers - 1)
		require.True(t, look(), sequence)
		now = now.Add(1)
		require.False(t, look(), sequence)
	}
}
