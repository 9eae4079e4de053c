package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// TestTheFeedSettlesALostChargeAndTheBooksAreProved: the answer of a charge is lost and
// its key is answered 409 for ever. The provider's ledger settles it, no operator does;
// the audit and the comparison agree. Then one gem is stolen by hand, and named.
func TestTheFeedSettlesALostChargeAndTheBooksAreProved(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.give("player", economy.Amounts{"GEM": 100})
	db := s.database()
	s.faults(`{"lose_answer":1}`)
	lost := s.spend(t, "player", "extra_life", "lost", "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, lost.code, lost)
	adjustmentWhere(t, db, "player", "unknown_since IS NOT NULL")
	s.faults(`{"replay_conflict":1}`)
	adjustmentWhere(t, db, "player", "conflict_at IS NOT NULL")

	var customer account
	s.control(http.MethodGet, "/customers/player", "", &customer)
	var rows []generator.CurrencyRow
	for _, transaction := range customer.Transactions {
		for currency, amount := range transaction.Adjustments {
			rows = append(rows, generator.CurrencyRow{
				OriginalUser: "player", LastUser: "player", Type: "DEDUCTION", Currency: string(currency), Amount: int64(amount), Balance: 50,
				At: time.Now(), IdempotencyKey: transaction.Key,
			})
		}
	}
	feed := filepath.Join(t.TempDir(), "virtual_currency_1.csv")
	file, err := os.Create(feed)
	require.NoError(t, err)
	require.NoError(t, generator.WriteCurrencyRows(file, generator.Options{}, rows))
	require.NoError(t, file.Close())

	code, out, log := runs(t, s.env, "backfill", "currency", "--dry-run", feed)
	require.Zero(t, code, log)
	require.Contains(t, out, "would be settled as applied: charge of spend "+lost.Spend.ID)
	settled := func() bool { // a worker may be asking at this moment
		code, out, log = runs(t, s.env, "backfill", "currency", feed)
		require.Zero(t, code, log)
		return !strings.Contains(out, "not settled:")
	}
	require.Eventually(t, settled, time.Minute, 5*tick, "%s", &out)
	s.spendAt(t, "player", "/spends/"+lost.Spend.ID, "fulfilled")
	var evidence string
	require.NoError(t, db.Get(&evidence, "SELECT reason FROM operator_acts WHERE deed = 'spend.settle' AND subject = $1", lost.Spend.ID))
	require.Contains(t, evidence, "currency feed row, line 2 of virtual_currency_1.csv: -50 GEM")
	awaitRest(t, db, time.Minute)

	code, out, log = runs(t, s.env, "audit")
	require.Zero(t, code, out+log)
	require.Contains(t, out, "the books balance")
	_, err = db.Exec("BEGIN; SET LOCAL session_replication_role = replica; UPDATE ledger_entries SET amount = amount - 1 WHERE kind = 'charge'; COMMIT")
	require.NoError(t, err)
	code, out, log = runs(t, s.env, "audit")
	require.Equal(t, exitFailed, code, log)
	require.Contains(t, out, "line_amount: "+lost.Spend.ID+" of player player: its charge is 49 GEM and should be 50 (-1 GEM)")
	require.Contains(t, out, "player player: charged 49 GEM, fulfilled 50, refunded 0, in flight 0: off by -1")
	code, out, _ = runs(t, s.env, "audit", "--player", "player")
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `-49 +-49 +GEM +charge`, out)

	code, out, log = runs(t, s.env, "reconcile", "--player", "player", "--settle", "1s")
	require.Equal(t, exitFailed, code, log)
	require.Regexp(t, `drift +player +GEM +-49 +50 +\+99`, out, "what the site began with, and the stolen gem")
	code, out, log = runs(t, s.env, "reconcile", "--player", "player", "--settle", "1s", "--repair", "--reason", "opening balance")
	require.Zero(t, code, out+log)
	code, out, log = runs(t, s.env, "reconcile", "--player", "player", "--settle", "1s")
	require.Zero(t, code, out+log)
}
