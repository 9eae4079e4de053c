package webhooks

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// priceMax bounds a price, in units of any currency: 9e12 is far above what a
// store sells for in the smallest currency, and its millionths fit an int64.
const priceMax = 9_000_000_000_000

// micros returns a decimal number in millionths, rounded half away from zero. It
// never goes through a float: 9.99 is 9,990,000.
func micros(n json.Number) (int64, error) {
	if len(n) > 40 {
		return 0, fmt.Errorf("price of %d characters is not a price", len(n))
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(string(n)), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 2 {
		return 0, fmt.Errorf("price %s is not a price", n)
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || new(big.Rat).Abs(r).Cmp(big.NewRat(priceMax, 1)) > 0 {
		return 0, fmt.Errorf("price %s is not a price", n)
	}
	var scaled big.Int
	if _, ok := scaled.SetString(r.Mul(r, big.NewRat(1_000_000, 1)).FloatString(0), 10); !ok {
		return 0, fmt.Errorf("price %s is not a price", n)
	}
	return scaled.Int64(), nil
}

func negative(n json.Number) bool {
	return strings.HasPrefix(string(n), "-") && strings.ContainsAny(string(n), "123456789")
}
