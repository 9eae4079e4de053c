package economy_test

import (
	"errors"
	"math"
	"testing"

	"github.com/sluice-gems/sluice/economy"
)

func TestTimesNeverExceedsWhatABalanceCanHold(t *testing.T) {
	t.Parallel()
	const most = economy.BalanceMax
	for _, c := range []struct {
		name  string
		price economy.Amounts
		n     int64
		want  economy.Amounts // nil: ErrAmountRange
	}{
		{"one", economy.Amounts{"GEM": 50}, 1, economy.Amounts{"GEM": 50}},
		{"many, two currencies", economy.Amounts{"GEM": 50, "GOLD": 3}, 99, economy.Amounts{"GEM": 4950, "GOLD": 297}},
		{"zero", economy.Amounts{"GEM": 0}, math.MaxInt64, economy.Amounts{"GEM": 0}},
		{"nothing", nil, 5, economy.Amounts{}},
		{"the most", economy.Amounts{"GEM": most}, 1, economy.Amounts{"GEM": most}},
		{"the most in two", economy.Amounts{"GEM": most / 2}, 2, economy.Amounts{"GEM": most}},
		{"one more than the most", economy.Amounts{"GEM": most/2 + 1}, 2, nil},
		{"more than int64 holds", economy.Amounts{"GEM": most}, math.MaxInt64, nil},
		{"wraps to a small number", economy.Amounts{"GEM": 2}, math.MaxInt64/2 + 2, nil},
		{"n beyond the most", economy.Amounts{"GEM": 1}, int64(most) + 1, nil},
		{"none", economy.Amounts{"GEM": 1}, 0, nil},
		{"less than none", economy.Amounts{"GEM": 1}, -1, nil},
		{"negative amount", economy.Amounts{"GEM": -1}, 1, nil},
		{"one currency of two", economy.Amounts{"GEM": 1, "GOLD": most}, 2, nil},
	} {
		got, err := c.price.Times(c.n)
		if c.want == nil {
			if !errors.Is(err, economy.ErrAmountRange) {
				t.Errorf("%s: got %v, %v, want ErrAmountRange", c.name, got, err)
			}
			continue
		}
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestAmountsAreEqualWhenEveryCurrencyIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b economy.Amounts
		want bool
	}{
		{nil, nil, true},
		{nil, economy.Amounts{}, true},
		{nil, economy.Amounts{"GEM": 0}, true},
		{economy.Amounts{"GEM": 1, "GOLD": 0}, economy.Amounts{"GEM": 1}, true},
		{economy.Amounts{"GEM": 1}, economy.Amounts{"GEM": 2}, false},
		{economy.Amounts{"GEM": 1}, economy.Amounts{"gem": 1}, false},
		{economy.Amounts{"GEM": 1}, economy.Amounts{"GEM": 1, "GOLD": 1}, false},
		{economy.Amounts{"GEM": 1}, nil, false},
	} {
		if c.a.Equal(c.b) != c.want || c.b.Equal(c.a) != c.want {
			t.Errorf("%v = %v: want %v, both ways", c.a, c.b, c.want)
		}
	}
}

func TestPlusAndNegatedChangeNeitherSide(t *testing.T) {
	t.Parallel()
	a, b := economy.Amounts{"GEM": 5}, economy.Amounts{"GEM": -2, "GOLD": 1}
	if sum := a.Plus(b); !sum.Equal(economy.Amounts{"GEM": 3, "GOLD": 1}) {
		t.Errorf("sum %v", sum)
	}
	if sum := economy.Amounts(nil).Plus(b); !sum.Equal(b) {
		t.Errorf("nil plus %v is %v", b, sum)
	}
	if zero := a.Plus(a.Negated()); !zero.Equal(nil) {
		t.Errorf("a plus its negation is %v", zero)
	}
	if !a.Equal(economy.Amounts{"GEM": 5}) || !b.Equal(economy.Amounts{"GEM": -2, "GOLD": 1}) {
		t.Errorf("changed: %v, %v", a, b)
	}
}

func TestAmountsReadTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	a := economy.Amounts{"GOLD": 3, "GEM": 50, "AAA": 1}
	for range 20 {
		if got := a.String(); got != "1 AAA + 50 GEM + 3 GOLD" {
			t.Fatal(got)
		}
	}
}

func TestCurrencyCodesAreThoseOfTheProvider(t *testing.T) {
	t.Parallel()
	for code, ok := range map[economy.Currency]bool{
		"GEM": true, "a_1": true, "ABCDEFGHIJ": true, "": false, "ABCDEFGHIJK": false, "GE M": false, "GÉM": false, "GEM\n": false, "G-M": false,
	} {
		if err := code.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", string(code), err)
		}
	}
}
