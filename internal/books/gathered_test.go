package books_test

import (
	"testing"

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
