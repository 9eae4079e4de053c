package monitor

import (
	"context"
	"fmt"
)

func (m *Monitor) readBooks(ctx context.Context, s *Snapshot) error {
	var row struct {
		Findings int64   `db:"findings"`
		Age      float64 `db:"age"` // seconds
	}
	err := m.db.GetContext(ctx, &row, `SELECT (SELECT count(*) FROM audit_findings WHERE mended_at IS NULL) AS findings,
		coalesce((SELECT greatest(0, extract(epoch FROM now() - audited_at)) FROM audit_positions), 0)::float8 AS age`)
	if err != nil {
		return fmt.Errorf("read the audit's findings: %w", err)
	}
	b := &Books{Findings: row.Findings, AuditAge: secondsOf(row.Age), Drift: []Drift{}}
	err = m.db.SelectContext(ctx, &b.Drift, `SELECT currency, count(*) AS players, sum(abs(drift))::bigint AS units
		FROM reconciliations WHERE drift <> 0 GROUP BY currency ORDER BY currency`)
	if err != nil {
		return fmt.Errorf("read drift: %w", err)
	}
	s.Books = b
	return nil
}
