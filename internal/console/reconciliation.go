package console

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// reconciliationPage is what reconciliation.html shows.
type reconciliationPage struct {
	Runs     []comparisonRun
	Drifts   []comparison
	More     bool // drifts than are shown
	Findings []audit.Finding
	Audited  *time.Time // every line committed before was looked at; nil: nobody audits
}

// comparisonRun is one comparison of balances with the provider's.
type comparisonRun struct {
	ID         string     `db:"id"`
	StartedAt  time.Time  `db:"started_at"`
	FinishedAt *time.Time `db:"finished_at"`
	StartedBy  string     `db:"started_by"`
	Reason     string     `db:"reason"`
}

// comparison is what the last comparison of a balance said.
type comparison struct {
	CustomerID string    `db:"customer_id"`
	Currency   string    `db:"currency"`
	Ledger     int64     `db:"ledger"`
	Provider   int64     `db:"provider"`
	Drift      int64     `db:"drift"`
	Outcome    string    `db:"outcome"`
	Why        string    `db:"why"`
	ReadAt     time.Time `db:"read_at"`
}

const comparisonColumns = "customer_id, currency, ledger, provider, drift, outcome, why, read_at"

// driftsShown and driftsRead bound the drifts on the page and those put in order for it.
const (
	driftsShown = 100
	driftsRead  = 5_000
	runsShown   = 10
)

func (c *Console) reconciliation(q *request) error {
	ctx := q.Context()
	var page reconciliationPage
	if err := c.db.SelectContext(ctx, &page.Runs, "SELECT id, started_at, finished_at, started_by, reason FROM reconcile_runs ORDER BY started_at DESC LIMIT $1", runsShown); err != nil {
		return fmt.Errorf("read comparisons: %w", err)
	}
	if err := c.db.SelectContext(ctx, &page.Drifts, fmt.Sprintf(`SELECT * FROM (SELECT %s FROM reconciliations WHERE drift <> 0 LIMIT %d) AS few
		ORDER BY abs(drift) DESC, customer_id LIMIT %d`, comparisonColumns, driftsRead, driftsShown+1)); err != nil {
		return fmt.Errorf("read drifts: %w", err)
	}
	if page.More = len(page.Drifts) > driftsShown; page.More {
		page.Drifts = page.Drifts[:driftsShown]
	}
	var err error
	if page.Findings, err = audit.Findings(ctx, c.db, driftsShown); err != nil {
		return err
	}
	var audited time.Time
	switch err := c.db.GetContext(ctx, &audited, "SELECT audited_at FROM audit_positions"); {
	case err == nil:
		page.Audited = &audited
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("read how far the audit is: %w", err)
	}
	return c.show(q, "reconciliation", "Reconciliation", page)
}

// comparisonsOf returns what the last comparisons of a customer's balances said.
func (c *Console) comparisonsOf(ctx context.Context, appUserIDs []string) ([]comparison, error) {
	var list []comparison
	if err := c.db.SelectContext(ctx, &list, "SELECT "+comparisonColumns+" FROM reconciliations WHERE customer_id = ANY($1) ORDER BY currency", postgres.Array(appUserIDs)); err != nil {
		return nil, fmt.Errorf("read comparisons: %w", err)
	}
	return list, nil
}
