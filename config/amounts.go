package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// setAmounts reads `CODE=amount`, one per currency.
func setAmounts(f *economy.Amounts, values []string) error {
	amounts := economy.Amounts{}
	var problems []error
	for i, value := range values {
		code, number, _ := strings.Cut(value, "=")
		currency := economy.Currency(code)
		_, twice := amounts[currency]
		n, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil || currency.Validate() != nil || n < 0 || n > int64(economy.BalanceMax):
			problems = append(problems, fmt.Errorf("entry %d: %q is no currency with an amount from 0 to %d: write one such as GEM=1000", i+1, value, economy.BalanceMax))
		case twice:
			problems = append(problems, fmt.Errorf("entry %d: %s is there twice", i+1, currency))
		default:
			amounts[currency] = economy.Amount(n)
		}
	}
	*f = amounts
	return errors.Join(problems...)
}

func showAmounts(amounts economy.Amounts) string {
	return joinShown(amounts.Currencies(), func(c economy.Currency) string { return string(c) + "=" + strconv.FormatInt(int64(amounts[c]), 10) })
}
