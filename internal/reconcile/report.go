package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Report is what a run found.
type Report struct {
	RunID      string                     `json:"run_id"`
	StartedAt  time.Time                  `json:"started_at"`
	FinishedAt time.Time                  `json:"finished_at"`
	Customers  int64                      `json:"customers"`
	Outcomes   map[Outcome]int64          `json:"outcomes"`         // balances; of customers who could not be read: customers
	Drifts     map[economy.Currency]Total `json:"drifts"`           // that remain
	Wished     int64                      `json:"purchases_wished"` // customers whose purchases are to be read again
	Read       int64                      `json:"purchases_read"`   // of them, those that were by now
	News       int64                      `json:"purchases_news"`   // facts about purchases that this brought and we did not know
	Results    []Result                   `json:"results"`          // all but those that agree, resultsMax of them; Runner.Each has all
	More       int64                      `json:"results_left_out"` // because of that
}

// resultsMax bounds the results that a report holds, drift first.
const resultsMax = 1000

// Total sums the drifts of a currency.
type Total struct {
	Players int64 `db:"players" json:"players"`
	Units   int64 `db:"units" json:"units"` // without their signs
	Net     int64 `db:"net" json:"net"`     // provider less ledger
}

// Drifting reports whether a difference remains.
func (r Report) Drifting() bool { return len(r.Drifts) > 0 }

const resultColumns = `customer_id, currency, ledger, provider, CASE WHEN outcome IN ('agrees', 'repaired') THEN 0 ELSE provider - ledger END AS drift, outcome, why, read_at, looks`

func (r *Runner) report(ctx context.Context, run run) (Report, error) {
	out := Report{RunID: run.ID, StartedAt: run.StartedAt, FinishedAt: r.Now(), Outcomes: map[Outcome]int64{}, Drifts: map[economy.Currency]Total{}, Results: []Result{}}
	var counts []struct {
		Outcome Outcome `db:"outcome"`
		N       int64   `db:"n"`
	}
	if err := r.DB.SelectContext(ctx, &counts, "SELECT outcome, count(*) AS n FROM reconciliations WHERE run_id = $1 GROUP BY outcome", run.ID); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	for _, one := range counts {
		out.Outcomes[one.Outcome] = one.N
	}
	if err := r.DB.GetContext(ctx, &out.Customers, "SELECT count(DISTINCT customer_id) FROM reconciliations WHERE run_id = $1", run.ID); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	if err := r.DB.GetContext(ctx, &out.Wished, "SELECT wished FROM reconcile_runs WHERE id = $1", run.ID); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	if err := r.DB.SelectContext(ctx, &out.Results, "SELECT "+resultColumns+" FROM reconciliations WHERE run_id = $1 AND outcome <> 'agrees' ORDER BY outcome, customer_id, currency LIMIT $2",
		run.ID, resultsMax); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	for outcome, n := range out.Outcomes {
		if outcome != Agrees {
			out.More += n
		}
	}
	out.More -= int64(len(out.Results))
	if err := r.DB.QueryRowxContext(ctx, `SELECT count(DISTINCT r.app_user_id), coalesce(sum(r.changed), 0) FROM customer_readings r
		WHERE r.started_at >= $2 AND $3 > 0 AND r.app_user_id IN (SELECT customer_id FROM reconciliations WHERE run_id = $1)`, run.ID, run.StartedAt, out.Wished).Scan(&out.Read, &out.News); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	var totals []struct {
		Currency economy.Currency `db:"currency"`
		Total
	}
	if err := r.DB.SelectContext(ctx, &totals, `SELECT currency, count(*) AS players, sum(abs(provider - ledger))::bigint AS units, sum(provider - ledger)::bigint AS net
		FROM reconciliations WHERE run_id = $1 AND outcome = 'drift' GROUP BY currency`, run.ID); err != nil {
		return out, fmt.Errorf("reconcile: report: %w", err)
	}
	for _, one := range totals {
		out.Drifts[one.Currency] = one.Total
	}
	return out, nil
}

// tell logs what a run found, without naming players.
func (r *Runner) tell(ctx context.Context, report Report) {
	for currency, total := range report.Drifts {
		r.Log.ErrorContext(ctx, "balances differ from our ledger", "run", report.RunID, "currency", currency, "players", total.Players, "units", total.Units)
	}
	r.Log.InfoContext(ctx, "reconciled", "run", report.RunID, "customers", report.Customers,
		"agree", report.Outcomes[Agrees], "drift", report.Outcomes[Drift], "repaired", report.Outcomes[Repaired], "unjudged", report.Outcomes[Unjudged])
}

// Each calls do with every result of a run, in the order of customers: for a file.
func (r *Runner) Each(ctx context.Context, runID string, do func(Result) error) error {
	rows, err := r.DB.QueryxContext(ctx, "SELECT "+resultColumns+" FROM reconciliations WHERE run_id = $1 ORDER BY customer_id, currency", runID)
	if err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one Result
		if err := rows.StructScan(&one); err != nil {
			return fmt.Errorf("reconcile: %w", err)
		}
		if err := do(one); err != nil {
			return err
		}
	}
	return rows.Err()
}
