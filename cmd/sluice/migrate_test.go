package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestMigrateSaysWhatIsPending: which files, what they lock, how many rows, and changes nothing.
func TestMigrateSaysWhatIsPending(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	env := []string{"SLUICE_DATABASE_URL=" + testenv.PostgresURL(t)}
	code, out, log := runs(t, env, "migrate", "--pending")
	require.Zero(t, code, log)
	require.Equal(t, "schema is current\n", out)

	db.MustExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id IN (66, 67)")
	for range 2 {
		code, out, log = runs(t, env, "migrate", "--pending")
		require.Zero(t, code, log)
		require.Regexp(t, `^MIGRATION +LOCKS +ROWS \(ABOUT\)\n00066_adjustments_in_turn.sql +adjustments +0\n00067_balances_room.sql +balances +0\n$`, out)
	}
	code, out, log = runs(t, env, "migrate", "--pending", "--json")
	require.Zero(t, code, log)
	require.JSONEq(t, `{"pending":[{"file":"00066_adjustments_in_turn.sql","tables":[{"name":"adjustments","rows":0}]},{"file":"00067_balances_room.sql","tables":[{"name":"balances","rows":0}]}]}`, out)
	code, _, _ = runs(t, env, "migrate", "--json")
	require.Equal(t, exitBadUsage, code)
}
