package economy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Currency is a virtual currency's code as the provider knows it: 1 to 10
// letters, digits or underscores (RevenueCat API v2, virtual currency `code`).
type Currency string

// Amount counts whole units of one currency. RevenueCat has no fractions.
type Amount int64

// BalanceMax is the largest balance RevenueCat keeps for one customer and
// currency (RevenueCat docs, In-App Currency limits). No price may exceed it.
const BalanceMax Amount = 2_000_000_000

// Amounts holds one amount per currency, such as a price or a signed change.
// Its JSON form is the one of our API and of the provider: {"GEM":50}.
type Amounts map[Currency]Amount

// currencyCodeMax is the longest code of a currency, in characters.
const currencyCodeMax = 10

// ErrAmountRange says that an amount left the range the provider can hold.
var ErrAmountRange = errors.New("amount is out of range")

// Validate returns an error that says what a currency code must look like.
func (c Currency) Validate() error {
	if c == "" || len(c) > currencyCodeMax || strings.ContainsFunc(string(c), notOfACode) {
		return fmt.Errorf("currency %q: use 1 to 10 letters, digits or underscores", string(c))
	}
	return nil
}

func notOfACode(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// Currencies lists the codes in a, sorted, so that every loop over amounts
// has one order.
func (a Amounts) Currencies() []Currency {
	return slices.Sorted(maps.Keys(a))
}

// Negated returns the amounts with every sign turned: a price becomes the
// change that charges it.
func (a Amounts) Negated() Amounts {
	out := make(Amounts, len(a))
	for currency, amount := range a {
		out[currency] = -amount
	}
	return out
}

// Times multiplies every amount by n, 1 or more. It returns ErrAmountRange when
// a product exceeds BalanceMax: nobody could pay it.
func (a Amounts) Times(n int64) (Amounts, error) {
	out := make(Amounts, len(a))
	for currency, amount := range a {
		if n < 1 || amount < 0 || amount > BalanceMax/Amount(n) {
			return nil, fmt.Errorf("%d x %d %s: %w", n, amount, currency, ErrAmountRange)
		}
		out[currency] = amount * Amount(n)
	}
	return out, nil
}

// Plus adds b to a and returns the sum; neither is changed.
func (a Amounts) Plus(b Amounts) Amounts {
	out := maps.Clone(a)
	if out == nil {
		out = make(Amounts, len(b))
	}
	for currency, amount := range b {
		out[currency] += amount
	}
	return out
}

// Equal reports whether a and b hold the same amounts; a missing currency and
// zero of it are the same.
func (a Amounts) Equal(b Amounts) bool {
	for currency, amount := range a {
		if b[currency] != amount {
			return false
		}
	}
	for currency, amount := range b {
		if a[currency] != amount {
			return false
		}
	}
	return true
}

// String formats the amounts for people: "50 GEM", "3 GOLD + 50 GEM".
func (a Amounts) String() string {
	parts := make([]string, 0, len(a))
	for _, currency := range a.Currencies() {
		parts = append(parts, fmt.Sprintf("%d %s", a[currency], currency))
	}
	return strings.Join(parts, " + ")
}
