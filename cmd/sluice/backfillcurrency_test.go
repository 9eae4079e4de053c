package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// A timer that runs it every day is told of a deduction that is nobody's, and not of those
// from before Sluice.
func TestDeductionsThatAreNobodysHaveAnExitCode(t *testing.T) {
	testenv.Postgres(t)
	t.Setenv("SLUICE_DATABASE_URL", testenv.PostgresURL(t))
	t.Setenv("SLUICE_NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("SLUICE_DATA_DIR", t.TempDir())
	t.Chdir(t.TempDir())
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	row := func(kind string, amount int64, hour int) generator.CurrencyRow {
		when := at.Add(time.Duration(hour) * time.Hour)
		return generator.CurrencyRow{OriginalUser: "ann", LastUser: "ann", Type: kind, Currency: "GEM", Amount: amount, Balance: 100, At: when, UpdatedAt: when, IdempotencyKey: kind + when.String()}
	}
	sluice := func(wantCode int, args ...string) (out, told string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Equal(t, wantCode, run(append([]string{"backfill", "currency", "feed.csv"}, args...), &stdout, &stderr), "%s%s", &stdout, &stderr)
		return stdout.String(), stderr.String()
	}
	file, err := os.Create("feed.csv")
	require.NoError(t, err)
	require.NoError(t, generator.WriteCurrencyRows(file, generator.Options{}, []generator.CurrencyRow{row("GRANT", 100, 0), row("DEDUCTION", -30, 1), row("GRANT", 5, 9)}))
	require.NoError(t, file.Close())

	_, told := sluice(exitAbove)
	require.Contains(t, told, "1 deduction is nobody's")
	out, _ := sluice(exitAbove, "--json")
	require.Contains(t, out, `"nobodys_deductions": 1`)
	_, told = sluice(exitAbove, "--record")
	require.Contains(t, told, "1 deduction is nobody's", "it is not written: it stays to be told")
	out, _ = sluice(0, "--record", "--since", "2026-03-01T14:00:00Z")
	require.Contains(t, out, "Result: all of ours agrees, and no deduction since 2026-03-01")
	require.Contains(t, out, "1 change by RevenueCat is not in our ledger", "which is too young to be written")
}
