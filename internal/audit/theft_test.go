package audit_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// theft is a change by hand of the nth spend, and all that an audit must say of it:
// kind, whose, line and units. {call} is the spend's call, and {other} an id that
// nothing has.
type theft struct {
	name string
	nth  int
	sql  []string
	want []string
}

const (
	ofLine  = " WHERE spend_id = {id} AND kind = "
	ofCall  = " WHERE id = {call}"
	ofSpend = " WHERE id = {id}"
	other   = "'0198ffff-0000-7000-8000-000000000000'"
	refund  = "INSERT INTO adjustments (nth, id, spend_id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas) " +
		"SELECT 1000, {other}, id, now(), now(), now(), id, app_user_id, 'refund', 'applied', 'made up', '{\"adjustments\":{\"GEM\":' || (cost ->> 'GEM') || '}}', '', cost FROM spends" + ofSpend
	toldOf9 = `UPDATE adjustments SET deltas = '{"GEM": -9}', body = replace(body, '-10', '-9')`
)

// The nth: 60 and 65 are hats for 10 gems, 64 is 5 swords for 50, 41 is 2 refunded
// swords, 44 is charged, 47 a grant of 30; 51 and 52, 20 and 30 gems, are of one call.
var thefts = []theft{
	{"a gem less charged", 60, []string{"UPDATE ledger_entries SET amount = amount - 1" + ofLine + "'charge'"}, []string{"line_amount spend charge -1"}},
	{"a gem more refunded", 41, []string{"UPDATE ledger_entries SET amount = amount + 1" + ofLine + "'refund'"}, []string{"line_amount spend refund +1"}},
	{"a gem more granted", 47, []string{"UPDATE ledger_entries SET amount = amount + 1" + ofLine + "'grant'"}, []string{"line_amount spend grant +1"}},
	{"a charge deleted", 60, []string{"DELETE FROM ledger_entries" + ofLine + "'charge'"}, []string{"line_missing spend charge -10"}},
	{"a hand-over deleted", 60, []string{"DELETE FROM ledger_entries" + ofLine + "'fulfil'"}, []string{"line_missing spend fulfil -10"}},
	{"a refund made up", 60, []string{"INSERT INTO ledger_entries SELECT spend_id, amount, entered_at, app_user_id, 'refund', currency, 'in_flight', 'wallet' FROM ledger_entries" + ofLine + "'charge'"}, []string{"line_extra spend refund +10"}},
	{"a hand-over taken back", 60, []string{"INSERT INTO ledger_entries SELECT spend_id, amount, entered_at, app_user_id, 'reclaim', currency, 'sink', 'in_flight' FROM ledger_entries" + ofLine + "'charge'"}, []string{"act_missing spend reclaim +0", "line_missing spend keep -10"}},
	{"a currency made up", 60, []string{"INSERT INTO ledger_entries SELECT spend_id, 1, entered_at, app_user_id, kind, 'GOLD', debit, credit FROM ledger_entries" + ofLine + "'charge'"}, []string{"line_extra spend charge +1"}},
	{"a currency changed", 60, []string{"UPDATE ledger_entries SET currency = 'GOLD'" + ofLine + "'charge'"}, []string{"line_extra spend charge +10", "line_missing spend charge -10"}},
	{"a line moved to another player", 60, []string{"UPDATE ledger_entries SET app_user_id = 'thief'" + ofLine + "'charge'"}, []string{"line_player spend charge +0"}},
	{"a line moved to another spend", 60, []string{"UPDATE ledger_entries SET spend_id = {other}" + ofLine + "'fulfil'"}, []string{"line_missing spend fulfil -10", "line_orphan other fulfil +10"}},

	{"a spend declined", 60, []string{"UPDATE spends SET state = 'declined', left_state = 'requested'" + ofSpend}, []string{"line_extra spend charge +10", "line_extra spend fulfil +10", "not_bound call adjustment -10"}},
	{"a spend refunded", 60, []string{"UPDATE spends SET state = 'refunded', left_state = 'refunding'" + ofSpend}, []string{"line_extra spend fulfil +10", "line_missing spend refund -10", "not_applied spend refund +0"}},
	{"a spend fulfilled", 44, []string{"UPDATE spends SET state = 'fulfilled', left_state = 'charged', finished_at = now()" + ofSpend}, []string{"item_missing spend sword -5", "line_missing spend fulfil -50"}},
	{"a cost", 60, []string{`UPDATE spends SET cost = '{"GEM": 9}'` + ofSpend}, []string{"cost_wrong spend cost +0", "line_amount spend charge +1", "line_amount spend fulfil +1", "not_bound call adjustment -1"}},
	{"a cost and its lines", 60, []string{`UPDATE spends SET cost = '{"GEM": 9}'` + ofSpend, "UPDATE ledger_entries SET amount = 9 WHERE spend_id = {id}"}, []string{"cost_wrong spend cost +0", "not_bound call adjustment -1"}},
	{"a cost, its lines and call", 60, []string{`UPDATE spends SET cost = '{"GEM": 9}'` + ofSpend, "UPDATE ledger_entries SET amount = 9 WHERE spend_id = {id}", `UPDATE adjustments SET deltas = '{"GEM": -9}'` + ofCall}, []string{"cost_wrong spend cost +0", "not_sent call adjustment +0"}},
	{"a cost, its lines, call and body", 60, []string{`UPDATE spends SET cost = '{"GEM": 9}'` + ofSpend, "UPDATE ledger_entries SET amount = 9 WHERE spend_id = {id}", toldOf9 + ofCall}, []string{"cost_wrong spend cost +0"}},
	{"a quantity", 64, []string{"UPDATE spends SET quantity = 6" + ofSpend}, []string{"cost_wrong spend cost +0", "item_extra spend sword -1"}},
	{"an item changed", 60, []string{"UPDATE spends SET item = 'sword'" + ofSpend}, []string{"item_missing spend sword -1"}},
	{"an item for nothing", 64, []string{
		"INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost) " +
			"SELECT {other}, 1, 1, now(), now(), adjustment_id, id, app_user_id, 'made up', 'sword', 'fulfilled', 'charged', '{}' FROM spends" + ofSpend,
		"INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) SELECT {other}, 1, now(), app_user_id, item FROM inventory_grants WHERE spend_id = {id}",
	}, []string{"cost_wrong other cost +0"}},
	{"a spend moved to another player", 60, []string{"UPDATE spends SET app_user_id = 'thief'" + ofSpend}, []string{"line_player spend charge +0", "line_player spend fulfil +0", "not_applied spend adjustment +0", "not_bound call adjustment -10"}},
	{"a spend and its lines moved", 60, []string{"UPDATE spends SET app_user_id = 'thief'" + ofSpend, "UPDATE ledger_entries SET app_user_id = 'thief' WHERE spend_id = {id}"}, []string{"not_applied spend adjustment +0", "not_bound call adjustment -10"}},
	{"a spend deleted", 60, []string{"DELETE FROM spends" + ofSpend}, []string{"line_orphan spend charge +10", "line_orphan spend fulfil +10", "not_bound call adjustment -10"}},
	{"a spend and its lines deleted", 60, []string{"DELETE FROM spends" + ofSpend, "DELETE FROM ledger_entries WHERE spend_id = {id}"}, []string{"not_bound call adjustment -10"}},
	{"one of two spends of a call deleted with its lines", 52, []string{"DELETE FROM spends" + ofSpend, "DELETE FROM ledger_entries WHERE spend_id = {id}", "DELETE FROM inventory_grants WHERE spend_id = {id}"}, []string{"not_bound call adjustment -30"}},
	{"a grant and its line", 47, []string{`UPDATE spends SET cost = '{"GEM": 31}'` + ofSpend, "UPDATE ledger_entries SET amount = 31 WHERE spend_id = {id}"}, []string{"not_bound call adjustment -1"}},
	{"a grant, its line and call", 47, []string{`UPDATE spends SET cost = '{"GEM": 31}'` + ofSpend, "UPDATE ledger_entries SET amount = 31 WHERE spend_id = {id}", `UPDATE adjustments SET deltas = '{"GEM": 31}'` + ofCall}, []string{"not_sent call adjustment +0"}},

	{"a call that was not applied", 60, []string{"UPDATE adjustments SET state = 'refused'" + ofCall}, []string{"not_applied spend adjustment +0"}},
	{"a call for something else", 60, []string{"UPDATE adjustments SET purpose = 'grant'" + ofCall}, []string{"not_applied spend adjustment +0"}},
	{"a call of another player", 60, []string{"UPDATE adjustments SET app_user_id = 'thief'" + ofCall}, []string{"not_applied spend adjustment +0", "not_bound call adjustment -10"}},
	{"a call deleted", 60, []string{"DELETE FROM adjustments" + ofCall}, []string{"not_applied spend adjustment +0"}},
	{"a call made up", 60, []string{"INSERT INTO adjustments (nth, id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas) " +
		"SELECT 1000, {other}, now(), now(), now(), id, app_user_id, purpose, state, 'made up', body, '', deltas FROM adjustments" + ofCall}, []string{"not_bound other adjustment -10"}},
	{"a call with a turned sign", 60, []string{`UPDATE adjustments SET deltas = '{"GEM": 10}', body = replace(body, '-10', '10')` + ofCall}, []string{"not_bound call adjustment +20"}},
	{"a call that says another currency", 60, []string{`UPDATE adjustments SET deltas = '{"GOLD": -10}', body = replace(body, 'GEM', 'GOLD')` + ofCall}, []string{"not_bound call adjustment +10", "not_bound call adjustment -10"}},
	{"two calls wrong by opposite sums", 60, []string{toldOf9 + ofCall, `UPDATE adjustments SET deltas = '{"GEM": -11}', body = replace(body, '-10', '-11') WHERE id = (SELECT adjustment_id FROM spends WHERE idempotency_key = (SELECT id::text FROM spends ORDER BY seq OFFSET 64 LIMIT 1))`}, []string{"not_bound ? adjustment -1", "not_bound call adjustment +1"}},
	{"a refund that was not applied", 41, []string{"UPDATE adjustments SET state = 'refused' WHERE spend_id = {id}"}, []string{"not_applied spend refund +0"}},
	{"a refund of another sum", 41, []string{`UPDATE adjustments SET deltas = '{"GEM": 21}', body = replace(body, '20', '21') WHERE spend_id = {id}`}, []string{"not_applied spend refund +0"}},
	{"a refund given twice", 41, []string{refund}, []string{"not_applied spend refund +0"}},
	{"a refund of what is not refunded", 60, []string{refund}, []string{"not_applied spend refund +0"}},

	{"an item taken", 64, []string{"DELETE FROM inventory_grants WHERE spend_id = {id}"}, []string{"item_missing spend sword -5"}},
	{"an item revoked", 64, []string{"UPDATE inventory_grants SET revoked_at = now() WHERE spend_id = {id}"}, []string{"item_missing spend sword -5"}},
	{"an item more", 64, []string{"UPDATE inventory_grants SET quantity = 6 WHERE spend_id = {id}"}, []string{"item_extra spend sword +1"}},
	{"an item moved to another player", 64, []string{"UPDATE inventory_grants SET app_user_id = 'thief' WHERE spend_id = {id}"}, []string{"item_extra spend sword +0"}},
	{"an item of a refunded spend", 41, []string{"INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) SELECT id, quantity, now(), app_user_id, item FROM spends" + ofSpend}, []string{"item_extra spend sword +2"}},

	{"the act of a spend taken back", takenBack, []string{"DELETE FROM operator_acts WHERE reason = 'ticket 8'"}, []string{"act_missing spend reclaim +0"}},
	{"the line of a spend that stayed", kept, []string{"DELETE FROM ledger_entries" + ofLine + "'keep'"}, []string{"line_missing spend keep -50"}},
	{"the reason of a correction", 60, []string{"UPDATE operator_acts SET reason = 'none' WHERE deed = 'ledger.correct'"}, []string{"correction_sums ? correction_credit +0"}},
	{"a correction's player", 60, []string{"UPDATE ledger_corrections SET app_user_id = 'thief'"}, []string{"correction_sums ? act +0", "correction_sums ? correction_credit +0"}},
	{"a correction deleted", 60, []string{"DELETE FROM ledger_corrections"}, []string{"correction_sums ? act +0"}},
	{"a movement told again, of another sum", 60, []string{"UPDATE provider_movements SET amount = 11"}, []string{"movement_wrong ? own_seen +1"}},

	// From here on guards of the schema are gone.
	{"a line from the wrong account", 60, []string{"ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_kind_check", "UPDATE ledger_entries SET debit = credit, credit = debit" + ofLine + "'charge'"}, []string{"line_accounts spend charge +0"}},
	{"a line with a turned sign", 60, []string{"ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_amount_check", "UPDATE ledger_entries SET amount = -amount" + ofLine + "'charge'"}, []string{"line_amount spend charge -20"}},
	{"a spend without a call", 60, []string{"ALTER TABLE spends DROP CONSTRAINT spends_charged_is_bound_check", "UPDATE spends SET adjustment_id = NULL" + ofSpend}, []string{"not_applied spend adjustment +0", "not_bound call adjustment -10"}},
	{"a spend without a call, and its call deleted", 60, []string{"DELETE FROM adjustments WHERE id = {call}", "UPDATE spends SET adjustment_id = NULL" + ofSpend}, []string{"not_applied spend adjustment +0"}},
	{"a line doubled", 60, []string{"ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey", "INSERT INTO ledger_entries SELECT * FROM ledger_entries" + ofLine + "'fulfil'"}, []string{"line_extra spend fulfil +10"}},
	{"a line split in two, and another deleted", 60, []string{"UPDATE ledger_entries SET amount = 5" + ofLine + "'fulfil'", "INSERT INTO ledger_entries SELECT * FROM ledger_entries" + ofLine + "'fulfil'"}, []string{"line_extra spend fulfil +0"}},
}

// takenBack is the spend that an operator took back, kept one of which that was given up.
const takenBack, kept = 100, 104

// besides adds to generated books what happens rarely: a spend that an operator took
// back, one that stayed after all, a correction, a movement that tells of a call of ours.
func besides(t testing.TB, db *sqlx.DB) {
	t.Helper()
	id := idOf(t, db, takenBack)
	const act = "INSERT INTO operator_acts (id, at, deed, subject, app_user_id, who, login, via, reason, before, after) SELECT gen_random_uuid(), now(), "
	byHand(t, db,
		with(id, "UPDATE spends SET state = 'refunding', left_state = 'fulfilled', finished_at = NULL WHERE id = {id}"),
		with(id, "INSERT INTO ledger_entries SELECT spend_id, amount, now(), app_user_id, 'reclaim', currency, 'sink', 'in_flight' FROM ledger_entries WHERE spend_id = {id} AND kind = 'fulfil'"),
		with(id, act+"'spend.refund', id::text, app_user_id, 'op', 'op', 'cli', 'ticket 8', '{}', '{}' FROM spends WHERE id = {id}"),
		with(id, "UPDATE inventory_grants SET revoked_at = now() WHERE spend_id = {id}"),
		with(idOf(t, db, kept), "INSERT INTO ledger_entries SELECT spend_id, amount, now(), app_user_id, line.kind, currency, line.debit, line.credit FROM ledger_entries, "+
			"(VALUES ('reclaim', 'sink', 'in_flight'), ('keep', 'in_flight', 'sink')) line (kind, debit, credit) WHERE spend_id = {id} AND ledger_entries.kind = 'fulfil'"),
		with(idOf(t, db, kept), act+"'spend.refund', id::text, app_user_id, 'op', 'op', 'cli', 'ticket 9', '{}', '{}' FROM spends WHERE id = {id}"),
		"INSERT INTO ledger_corrections VALUES ('0198ffff-0000-7000-8000-00000000000c', 3, 0, 3, now(), now(), 'player1', 'correction_credit', 'GEM', 'drift', 'wallet', 'op', 'ticket 7')",
		act+`'ledger.correct', 'reconcile:0198ffff-0000-7000-8000-00000000000c', 'player1', 'op', 'op', 'cli', 'ticket 7', '{"wallet": 0, "currency": "GEM"}', '{"wallet": 3, "currency": "GEM"}'`,
		`INSERT INTO provider_movements (amount, moved_at, entered_at, movement_id, app_user_id, kind, currency, debit, credit, environment, source, adjustment_id)
			SELECT 10, now(), now(), 'm1', app_user_id, 'own_seen', 'GEM', 'wallet', 'wallet', 'production', 'api', id FROM adjustments WHERE deltas = '{"GEM": -10}' AND state = 'applied' LIMIT 1`)
}

// TestWhateverIsStolenByHandIsFoundAndNamed: changed by hand, past every guard of the
// database, it is found at once by sluice audit, and by one slow pass of sluice work,
// which name the spend or the call, the line and by how much, and nothing else.
func TestWhateverIsStolenByHandIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 120)
	besides(t, db)
	keepAll(t, db)
	require.Empty(t, whole(t, db).Wrong)
	require.Empty(t, slowPass(t, db))
	for _, theft := range thefts {
		id := idOf(t, db, theft.nth)
		var call string
		require.NoError(t, db.Get(&call, "SELECT coalesce(adjustment_id::text, '') FROM spends WHERE id = $1", id))
		for _, statement := range theft.sql {
			statement = strings.NewReplacer("{id}", "'"+id+"'::uuid", "{call}", "'"+call+"'::uuid", "{other}", other).Replace(statement)
			if strings.HasPrefix(statement, "ALTER") {
				db.MustExec(statement)
			} else {
				byHand(t, db, statement)
			}
		}
		told := func(wrong []audit.Finding) []string {
			list := []string{}
			for _, f := range wrong {
				whose, known := map[string]string{id: "spend", call: "call", strings.Trim(other, "'"): "other"}[f.Subject]
				if !known {
					whose = "?"
				}
				require.NotEmpty(t, f.AppUserID, theft.name)
				list = append(list, fmt.Sprintf("%s %s %s %+d", f.Kind, whose, f.Line, f.Units))
			}
			slices.Sort(list)
			return list
		}
		require.Equal(t, theft.want, told(whole(t, db).Wrong), theft.name)
		require.Equal(t, theft.want, told(slowPass(t, db)), theft.name+", by the slow pass")
		restoreAll(t, db)
	}
	require.Empty(t, whole(t, db).Wrong, "not as it was")
}

// slowPass is what one slow pass over everything finds, with nothing new to look at.
func slowPass(t testing.TB, db *sqlx.DB) []audit.Finding {
	t.Helper()
	db.MustExec("DELETE FROM audit_positions")
	db.MustExec("DELETE FROM audit_findings")
	w := &audit.Watcher{DB: db, Log: slog.New(slog.DiscardHandler), Part: 70}
	for ended := false; !ended; {
		_, err := w.Look(t.Context())
		require.NoError(t, err)
		require.NoError(t, db.Get(&ended, "SELECT pass_ended_at IS NOT NULL FROM audit_positions"))
	}
	found, err := audit.Findings(t.Context(), db, 1000)
	require.NoError(t, err)
	return found
}

var keptTables = []string{"spends", "adjustments", "ledger_entries", "inventory_grants", "operator_acts", "ledger_corrections", "provider_movements"}

func keepAll(t testing.TB, db *sqlx.DB) {
	t.Helper()
	for _, table := range keptTables {
		db.MustExec("CREATE TABLE before_" + table + " AS SELECT * FROM " + table)
	}
}

func restoreAll(t testing.TB, db *sqlx.DB) {
	t.Helper()
	tx := db.MustBegin()
	tx.MustExec("SET LOCAL session_replication_role = replica")
	for _, table := range keptTables {
		tx.MustExec("DELETE FROM " + table)
		tx.MustExec("INSERT INTO " + table + " OVERRIDING SYSTEM VALUE SELECT * FROM before_" + table)
	}
	require.NoError(t, tx.Commit())
}

// TestAChangedCatalogueIsFound: a price made lower in the catalogue itself.
func TestAChangedCatalogueIsFound(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 40)
	byHand(t, db, `UPDATE catalog_versions SET body = jsonb_set(body, '{items,hat,price,GEM}', '9')`)
	kinds := map[audit.Kind]int{}
	for _, f := range whole(t, db).Wrong {
		kinds[f.Kind]++
	}
	require.Equal(t, map[audit.Kind]int{audit.CatalogChanged: 1, audit.CostWrong: 13}, kinds)
}
