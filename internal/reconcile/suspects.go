package reconcile

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// suspects looks again at the customers whose balances differ, until each is judged.
func (r *Runner) suspects(ctx context.Context, run run, scope Scope) error {
	settle := r.Settle
	if settle == 0 {
		settle = SettleDefault
	}
	for {
		var ids []string
		if err := r.DB.SelectContext(ctx, &ids, `SELECT customer_id FROM reconciliations WHERE run_id = $1 AND outcome = 'suspect'
			GROUP BY customer_id ORDER BY max(read_at) LIMIT $2`, run.ID, page); err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := r.lookAgain(ctx, run, scope, id, settle); err != nil {
				return err
			}
		}
	}
}

// Settling is a wait for differences to last.
type Settling struct {
	Customers int64     // whose balances differ, and who are looked at again
	Until     time.Time // when the next of them is
}

// settled waits until a customer may be looked at again, and says so.
func (r *Runner) settled(ctx context.Context, run run, due time.Time) error {
	length := due.Sub(r.Now())
	if r.Settling == nil || length <= 0 {
		return r.sleep(ctx, length)
	}
	now := Settling{Until: due}
	if err := r.DB.GetContext(ctx, &now.Customers, "SELECT count(DISTINCT customer_id) FROM reconciliations WHERE run_id = $1 AND outcome = 'suspect'", run.ID); err != nil {
		return err
	}
	r.Settling(now)
	err := r.sleep(ctx, length)
	r.Settling(Settling{})
	return err
}

func (r *Runner) lookAgain(ctx context.Context, run run, scope Scope, id string, settle time.Duration) error {
	var before []Result
	if err := r.DB.SelectContext(ctx, &before, `SELECT customer_id, currency, ledger, provider, provider - ledger AS drift, outcome, why, read_at, looks
		FROM reconciliations WHERE run_id = $1 AND customer_id = $2`, run.ID, id); err != nil {
		return err
	}
	looks, due := 0, time.Time{}
	for _, one := range before {
		looks = max(looks, one.Looks)
		if at := one.ReadAt.Add(settle); at.After(due) {
			due = at
		}
	}
	if err := r.settled(ctx, run, due); err != nil {
		return err
	}
	customer, err := r.Customers.Customer(ctx, id)
	if err != nil {
		return err
	}
	customer = economy.Customer{ID: id, AppUserIDs: customer.AppUserIDs} // under the id that the run knows, whatever was linked meanwhile
	seen, err := r.patiently(ctx, customer)
	if err != nil {
		return err
	}
	var owed bool
	if err := r.DB.GetContext(ctx, &owed, owedQuery, postgres.Array(customer.AppUserIDs)); err != nil {
		return err
	}
	now := again(before, seen.results(), owed)
	for i, one := range now {
		if one.Outcome == Suspect && looks+1 >= looksMax {
			now[i].Outcome, now[i].Why = Unjudged, "the balance moves: no two looks said the same"
		}
	}
	return r.keep(ctx, run, scope, seen, now, looks+1)
}
