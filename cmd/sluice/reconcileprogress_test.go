package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/reconcile"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// Elsewhere than on a terminal: the first wait is told at once, and the next ones now and then.
func TestAComparisonSaysWhatItWaitsForAndUntilWhen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newReconcileProgress(stdio{Err: &out})
	p.looked(50)
	until := clock().Add(2 * time.Minute)
	for range 3 {
		p.settling(reconcile.Settling{Customers: 1, Until: until})
		p.settling(reconcile.Settling{})
	}
	p.end()
	p.end()
	require.Equal(t, 1, strings.Count(out.String(), "\n"), &out)
	require.Contains(t, out.String(), "sluice: 50 players looked at; 1 differs, and the difference must last for --settle: the next look is at "+
		until.Format(time.TimeOnly)+" UTC, in 2m0s")
}

func TestARunThatChangedNothingSaysWhy(t *testing.T) {
	t.Parallel()
	for want, counts := range map[string]backfill.Counts{
		"Nothing changed: every row was known already.":                                               {Same: 3},
		"Nothing changed: there was no row.":                                                          {},
		"Nothing changed: of 1 row, 1 was rejected.":                                                  {Refused: 1},
		"Nothing changed: 1 row was known already, 2 were rejected and 1 was left out by the filter.": {Same: 1, Refused: 2, Skipped: 1},
	} {
		require.Equal(t, want, nothingChanged(counts))
	}
}
