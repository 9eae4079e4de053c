package gemstore

import (
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Money is an amount of one currency. JSON has it as a string: a browser's numbers
// are exact up to 2^53 only.
type Money struct {
	Currency economy.Currency `json:"currency"`
	Amount   economy.Amount   `json:"amount,string"`
}

// moneyOf lists amounts by currency.
func moneyOf(amounts economy.Amounts) []Money {
	list := make([]Money, 0, len(amounts))
	for _, currency := range amounts.Currencies() {
		list = append(list, Money{currency, amounts[currency]})
	}
	return list
}

// duration writes a time as people read it: "12 ms", "3.4 s", "2 min".
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + " min"
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// count writes "1 attempt", "2 attempts".
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}
