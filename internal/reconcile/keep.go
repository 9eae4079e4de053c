package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// keepResult writes what was found. The drift that was judged last stays until the
// balance is judged again.
const keepResult = `INSERT INTO reconciliations AS c (customer_id, currency, ledger, provider, drift, looks, read_at, judged_at, run_id, outcome, why)
	VALUES ($1, $2, $3, $4, CASE WHEN $8::boolean THEN $5::bigint ELSE 0 END, $6, $7::timestamptz, CASE WHEN $8 THEN $7 END, $9, $10, $11)
	ON CONFLICT (customer_id, currency) DO UPDATE SET ledger = excluded.ledger, provider = excluded.provider, looks = excluded.looks, read_at = excluded.read_at,
		run_id = excluded.run_id, outcome = excluded.outcome, why = excluded.why,
		drift = CASE WHEN $8 THEN excluded.drift ELSE c.drift END, judged_at = coalesce(excluded.judged_at, c.judged_at)`

// keep writes down what a look found and, where it is to, repairs it, in one commit.
func (r *Runner) keep(ctx context.Context, run run, scope Scope, s seen, results []Result, looks int) error {
	tx, err := r.DB.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	// What could not be compared before was compared now, or the reverse.
	if _, err := tx.ExecContext(ctx, `DELETE FROM reconciliations WHERE customer_id = $1 AND currency = ''`, s.customer.ID); err != nil {
		return fmt.Errorf("keep results: %w", err)
	}
	if s.why == "" {
		if err := s.forget(ctx, tx, results); err != nil {
			return err
		}
	}
	if s.why != "" { // whatever was suspect of this customer is not judged in this run
		if _, err := tx.ExecContext(ctx, `UPDATE reconciliations SET outcome = 'unjudged', why = $3 WHERE customer_id = $1 AND run_id = $2 AND outcome = 'suspect'`,
			s.customer.ID, run.ID, s.why); err != nil {
			return fmt.Errorf("keep results: %w", err)
		}
	}
	for _, one := range results {
		one.Looks = looks
		if one.Outcome == Drift && scope.Repair {
			if one, err = r.repair(ctx, tx, run, scope, s, one); err != nil {
				return err
			}
		}
		judged := one.Outcome == Agrees || one.Outcome == Drift || one.Outcome == Repaired
		if _, err := tx.ExecContext(ctx, keepResult, one.CustomerID, one.Currency, one.Ledger, one.Provider, one.Drift, one.Looks, one.ReadAt, judged, run.ID, one.Outcome, one.Why); err != nil {
			return fmt.Errorf("keep results: %w", err)
		}
	}
	return tx.Commit()
}

// forget deletes what earlier comparisons said of balances that the customer does not
// have any more: under another of its ids, from before they were known to be one, and
// of currencies of which neither side has any.
func (s seen) forget(ctx context.Context, tx *sqlx.Tx, results []Result) error {
	held := make([]string, 0, len(results))
	for _, one := range results {
		held = append(held, string(one.Currency))
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM reconciliations WHERE customer_id = ANY($2) AND customer_id <> $1 OR customer_id = $1 AND NOT currency = ANY($3)`,
		s.customer.ID, postgres.Array(s.customer.AppUserIDs), postgres.Array(held)); err != nil {
		return fmt.Errorf("keep results: %w", err)
	}
	return nil
}

// correction is a line of ledger_corrections, and deed what the audit calls it.
const (
	correction = `INSERT INTO ledger_corrections (run_id, amount, ledger_before, ledger_after, read_at, entered_at, app_user_id, kind, currency, debit, credit, entered_by, reason)
		SELECT $1::uuid, abs(d.drift), $2, $3, $4::timestamptz, $5::timestamptz, $6::text, k.kind, $7::text, k.debit, k.credit, $8::text, $9::text FROM (SELECT $3::bigint - $2::bigint AS drift) d
		JOIN (VALUES (true, 'correction_credit', 'drift', 'wallet'), (false, 'correction_debit', 'wallet', 'drift')) k (more, kind, debit, credit) ON k.more = (d.drift > 0)`
	deed = "ledger.correct"
)

// repair posts the line that makes our books say what the provider holds, and the
// line of the audit. Were our books written to since the look, nothing is repaired.
func (r *Runner) repair(ctx context.Context, tx *sqlx.Tx, run run, scope Scope, s seen, one Result) (Result, error) {
	now, err := readBooks(ctx, tx, s.customer.AppUserIDs)
	if err != nil {
		return one, err
	}
	if now.open != "" || now.wallet[one.Currency] != s.books.wallet[one.Currency] {
		one.Outcome, one.Why = Unjudged, "our books moved before they could be repaired"
		return one, nil
	}
	at := r.Now()
	if _, err := tx.ExecContext(ctx, correction, run.ID, one.Ledger, one.Provider, one.ReadAt, at, one.CustomerID, one.Currency, scope.By, scope.Reason); err != nil {
		return one, fmt.Errorf("correct the ledger: %w", err)
	}
	before, after := side(one.Ledger, one), side(one.Provider, one)
	if _, err := tx.ExecContext(ctx, `INSERT INTO operator_acts (id, at, deed, subject, app_user_id, who, login, via, reason, before, after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'cli', $8, $9, $10)`,
		r.NewID(), at, deed, "reconcile:"+run.ID, one.CustomerID, scope.By, scope.Login, scope.Reason, before, after); err != nil {
		return one, fmt.Errorf("audit the correction: %w", err)
	}
	one.Outcome, one.Drift = Repaired, 0
	one.Why = fmt.Sprintf("corrected by %+d", one.Provider-one.Ledger)
	return one, nil
}

func side(units int64, one Result) string {
	raw, err := json.Marshal(map[string]any{"wallet": units, "currency": one.Currency, "read_at": one.ReadAt.UTC()})
	if err != nil { // text, numbers and times always encode
		panic(err)
	}
	return string(raw)
}
