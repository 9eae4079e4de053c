package books_test

import (
	"testing"
	"time"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

func TestAmountsReadTheSameHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]economy.Amounts{
		`{"GEM": 50}`:            {"GEM": 50},
		`{"GEM":-50}`:            {"GEM": -50},
		`{"GEM": 50, "GOLD": 1}`: {"GEM": 50, "GOLD": 1},
		`{}`:                     {},
		`{"\u0047EM": 2}`:        {"GEM": 2},
		` {"GEM": 3 } `:          {"GEM": 3},
	} {
		got, err := books.DecodeAmounts([]byte(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{`{"GEM": 5.5}`, `{"GEM": +5}`, `{"GEM": 05}`, `{"GEM": 9223372036854775808}`, `{"GEM": }`, `{"GEM": 1`, ``} {
		_, err := books.DecodeAmounts([]byte(raw))
		require.Error(t, err, raw)
	}
}

// What was just charged is handed out once, and not when it is old: whoever asks
// again has seen that it was not good enough.
func TestARecentSpendIsTakenOnceAndOnlyWhileItIsFresh(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	recent := &books.Recent{Now: func() time.Time { return now }}
	gathered := books.NewGathered(db, recent)
	charged := newSpend("p", "k")
	charged.State, charged.AdjustmentID = economy.Charged, outbox.NewID()

	recent.Moved(charged)
	got, err := gathered.Spend(t.Context(), charged.ID)
	require.NoError(t, err)
	require.Equal(t, charged, got)
	_, err = gathered.Spend(t.Context(), charged.ID)
	require.ErrorIs(t, err, books.ErrNotFound, "read from the database, where it is not")

	recent.Moved(charged)
	now = now.Add(time.Minute)
	_, err = gathered.Spend(t.Context(), charged.ID)
	require.ErrorIs(t, err, books.ErrNotFound)

	refunding := charged
	refunding.State = economy.Refunding
	recent.Moved(refunding)
	_, err = gathered.Spend(t.Context(), charged.ID)
	require.ErrorIs(t, err, books.ErrNotFound, "only what was charged is kept")
}
