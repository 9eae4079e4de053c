package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
)

func TestPluralCountsInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 spends are", 1: "1 spend is", 2: "2 spends are", -1: "-1 spends are", 10_000: "10,000 spends are"} {
		require.Equal(t, want, plural(n, "spend is", "spends are"))
	}
}

// TestASpendStandsInOneLine: no gap where there is no reason.
func TestASpendStandsInOneLine(t *testing.T) {
	t.Parallel()
	for want, spend := range map[string]economy.Spend{
		"s is fulfilled\n":                 {ID: "s", State: economy.Fulfilled},
		"s is requested, held\n":           {ID: "s", State: economy.Requested, Held: true},
		"s is refunding operator_refund\n": {ID: "s", State: economy.Refunding, Reason: economy.OperatorRefund},
		"s is declined cancelled, held\n":  {ID: "s", State: economy.Declined, Reason: economy.Cancelled, Held: true},
	} {
		var out strings.Builder
		require.NoError(t, printStands(stdio{Out: &out}, spend))
		require.Equal(t, want, out.String())
	}
	require.Equal(t, "a, b", commas([]string{"a", "b"}))
}

// TestOneSpendIsSaidAsOne: below the table of sluice lag.
func TestOneSpendIsSaidAsOne(t *testing.T) {
	t.Parallel()
	s := monitor.Snapshot{Open: []monitor.OpenState{{State: "charged", Spends: 1}}}
	require.Contains(t, summary(s), "1 spend is charged, the oldest for 0s.")
}
