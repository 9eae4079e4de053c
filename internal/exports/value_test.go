package exports

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The quick road and the exact one say the same of every price.
func TestPricesAreExact(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		s := strconv.FormatInt(random.Int64N(1e9), 10)
		if n := random.IntN(12); n > 0 {
			s += "." + strconv.FormatInt(1e12+random.Int64N(1e12), 10)[1:1+n]
		}
		if random.IntN(4) == 0 {
			s = "-" + s
		}
		got, err := parseMicros([]byte(s))
		require.NoError(t, err, s)
		exact, _ := new(big.Rat).SetString(s)
		want := exact.Mul(exact, big.NewRat(1_000_000, 1)).FloatString(0) // half away from zero
		require.Equal(t, want, strconv.FormatInt(got, 10), s)
	}
	for s, want := range map[string]int64{
		"9.99": 9_990_000, "0": 0, ".5": 500_000, "5.": 5_000_000, "-0.0000005": -1, "0.0000004": 0, "1e-3": 1000, "1.199e+01": 11_990_000,
		"9000000000000": 9_000_000_000_000_000_000,
	} {
		got, err := parseMicros([]byte(s))
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", ".", "-", "e", "1.2.3", "9000000000000.1", "99999999999999999999", "1e99", "1e-999999", "0x10", "1_0", "NaN", "1/3", " 1"} {
		_, err := parseMicros([]byte(s))
		require.Error(t, err, s)
	}
}

func TestTimesAreRead(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 2, 28, 23, 59, 58, 0, time.UTC)
	for _, s := range []string{
		"2026-02-28 23:59:58", "2026-02-28 23:59:58.000", "2026-02-28T23:59:58Z", "2026-02-28T23:59:58", "2026-03-01 01:59:58+02:00",
		"2026-02-28 23:59:58.000 +0000", "2026-02-28 23:59:58 UTC", "2026-02-28 23:59:58+00",
	} {
		got, err := parseTime([]byte(s))
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{
		"2026-02-29 00:00:00", "2026-13-01 00:00:00", "2026-00-01 00:00:00", "2026-01-00 00:00:00", "2026-01-01 24:00:00", "2026-01-01 00:60:00",
		"2026-01-01 00:00:00.", "2026-01-01 00:00:0x", "2026-01-01", "1672549200", "2026-01-01 00:00:00 and more, and more, and more",
	} {
		_, err := parseTime([]byte(s))
		require.Error(t, err, s)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		at := time.UnixMicro(random.Int64N(4_000_000_000_000_000)).UTC()
		got, err := parseTime([]byte(at.Format("2006-01-02 15:04:05.000000")))
		require.NoError(t, err)
		require.Equal(t, at, got)
	}
}

func TestListsOfEveryKindAreRead(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`{a,b c}`, `["a", "b c"]`, `{a,"b c"}`, `a,b c`, ` a , "b c" `, `{"a","b c",null}`} {
		require.Equal(t, []string{"a", "b c"}, parseList([]byte(s)), s)
	}
	for _, s := range []string{"", "{}", "[]", "null", `[null]`, `""`} {
		require.Empty(t, parseList([]byte(s)), s)
	}
}
