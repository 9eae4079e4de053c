package gemstore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheCounterIsOffByWhatIsWrong: every gem is in exactly one place, and what is
// not is counted.
func TestTheCounterIsOffByWhatIsWrong(t *testing.T) {
	t.Parallel()
	charge, refund := asked{delta: -50}, asked{delta: 50}
	for name, c := range map[string]struct {
		account
		want Sums
	}{
		"bought, nothing spent": {account{balance: 100, told: 100}, Sums{In: 100, Wallets: 100}},
		"bought, not told yet":  {account{balance: 100}, Sums{In: 100, Wallets: 100}},
		"an item": {
			account{balance: 50, adjusted: -50, told: 100, charged: 50, fulfilled: 50}, Sums{In: 100, Wallets: 50, Items: 50},
		},
		"charged, not handed over": {
			account{balance: 50, adjusted: -50, told: 100, charged: 50, inFlight: 50}, Sums{In: 100, Wallets: 50, Flight: 50},
		},
		"given back": {
			account{balance: 100, told: 100, charged: 50, refunded: 50}, Sums{In: 100, Wallets: 100},
		},
		"asked, and the provider has charged": {
			account{balance: 50, adjusted: -50, told: 100, asked: []asked{charge}}, Sums{In: 100, Wallets: 50, Flight: 50},
		},
		"asked, and it has not": {
			account{balance: 100, told: 100, asked: []asked{charge}}, Sums{In: 100, Wallets: 100},
		},
		"one of two has arrived": {
			account{balance: 90, adjusted: -10, told: 100, asked: []asked{charge, {delta: -10}}}, Sums{In: 100, Wallets: 90, Flight: 10},
		},
		"the refund has arrived and was not heard": {
			account{balance: 100, told: 100, charged: 50, inFlight: 50, asked: []asked{refund}}, Sums{In: 100, Wallets: 100},
		},
		"given by the game": {
			account{balance: 200, adjusted: 200, granted: 200}, Sums{In: 200, Wallets: 200},
		},
		"a grant that was not heard": {
			account{balance: 200, adjusted: 200, asked: []asked{{200, true}}}, Sums{In: 200, Wallets: 200},
		},

		"an item for free, and corrected": {
			account{balance: 100, told: 100, charged: 50, fulfilled: 50, corrected: 50}, Sums{In: 150, Wallets: 100, Items: 50},
		},
		"charged twice, and corrected": {
			account{balance: 0, adjusted: -100, told: 100, charged: 50, fulfilled: 50, corrected: -50}, Sums{In: 50, Items: 50},
		},
		"a purchase that nobody made, and corrected": {
			account{balance: 100, told: 150, corrected: -50}, Sums{In: 100, Wallets: 100},
		},
		"a purchase we were not told of, and corrected": {
			account{balance: 150, told: 100, corrected: 50}, Sums{In: 150, Wallets: 150},
		},
		"corrected by too much": {
			account{balance: 100, told: 100, corrected: 7}, Sums{In: 100, Wallets: 100, Off: 7},
		},

		"charged twice": {
			account{balance: 0, adjusted: -100, told: 100, charged: 50, fulfilled: 50}, Sums{In: 100, Items: 50, Off: 50},
		},
		"an item for free": {
			account{balance: 100, told: 100, charged: 50, fulfilled: 50}, Sums{In: 100, Wallets: 100, Items: 50, Off: 50},
		},
		"charged, and nobody knows what for": {
			account{balance: 93, adjusted: -7, told: 100, asked: []asked{charge}}, Sums{In: 100, Wallets: 93, Off: 7},
		},
		"a spend without its ledger line": {
			account{balance: 100, told: 100, inFlight: 50}, Sums{In: 100, Wallets: 100, Off: 50},
		},
		"a purchase that nobody made": {
			account{balance: 100, told: 150}, Sums{In: 100, Wallets: 100, Off: 50},
		},
	} {
		c.want.Currency = "GEM"
		require.Equal(t, c.want, sumUp("GEM", []account{c.account}), name)
		if c.want.Off == 0 {
			require.Equal(t, c.want.In, c.want.Wallets+c.want.Items+c.want.Flight, name)
		}
	}
}

// TestMistakesDoNotMakeUpForEachOther: one player too much and another too little.
func TestMistakesDoNotMakeUpForEachOther(t *testing.T) {
	t.Parallel()
	out := sumUp("GEM", []account{{balance: 0, adjusted: -50, told: 50}, {balance: 100, adjusted: 50, told: 50}})
	require.EqualValues(t, 100, out.Off)
}
