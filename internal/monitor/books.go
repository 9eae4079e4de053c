package monitor

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/internal/audit"
)

// Books is whether the books balance, as it was looked at last.
type Books struct {
	Findings int64   `json:"findings"`          // of the audit, that are not mended
	AuditAge Seconds `json:"audit_age_seconds"` // since the last audit of what changed; 0: there was none
	PassAge  Seconds `json:"pass_age_seconds"`  // since the last pass over everything ended; 0: none did
	Drift    []Drift `json:"drift"`             // by currency; none: nothing differs, or nothing was compared

	kinds    map[audit.Kind]int64 // the findings, by what is wrong
	compared []Drift              // of every currency that the shop sells for, or that differs
	audited  bool                 // there was an audit
	passed   bool                 // there was a pass
}

// Drift is by how much RevenueCat's balances differ from our ledger.
type Drift struct {
	Currency string `json:"currency" db:"currency"`
	Players  int64  `json:"players" db:"players"`
	Units    int64  `json:"units" db:"units"` // without their signs
}

// driftsQuery sums what differs, of every currency that the shop sells for or that differs.
const driftsQuery = `SELECT currency, sum(units)::bigint AS units, sum(players)::bigint AS players FROM (
		SELECT currency, sum(abs(drift)) AS units, count(*) AS players FROM reconciliations WHERE drift <> 0 GROUP BY currency
		UNION ALL
		SELECT DISTINCT p.currency, 0, 0 FROM (SELECT body FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1) c,
			jsonb_each(c.body -> 'items') i, jsonb_object_keys(i.value -> 'price') p (currency)) d
	GROUP BY currency ORDER BY currency`

func (m *Monitor) readBooks(ctx context.Context, s *Snapshot) error {
	var findings []struct {
		Kind audit.Kind `db:"kind"`
		Open int64      `db:"open"`
	}
	if err := m.db.SelectContext(ctx, &findings, "SELECT kind, count(*) AS open FROM audit_findings WHERE mended_at IS NULL GROUP BY kind"); err != nil {
		return fmt.Errorf("read the audit's findings: %w", err)
	}
	var audits []struct {
		Age  float64  `db:"age"`  // seconds
		Pass *float64 `db:"pass"` // seconds
	}
	if err := m.db.SelectContext(ctx, &audits, `SELECT greatest(0, extract(epoch FROM now() - audited_at))::float8 AS age,
			greatest(0, extract(epoch FROM now() - pass_ended_at))::float8 AS pass FROM audit_positions`); err != nil {
		return fmt.Errorf("read when the books were audited: %w", err)
	}
	b := &Books{kinds: map[audit.Kind]int64{}, Drift: []Drift{}}
	for _, f := range findings {
		b.Findings += f.Open
		b.kinds[f.Kind] = f.Open
	}
	for _, a := range audits { // one at most
		b.audited, b.AuditAge = true, secondsOf(a.Age)
		if a.Pass != nil {
			b.passed, b.PassAge = true, secondsOf(*a.Pass)
		}
	}
	if err := m.db.SelectContext(ctx, &b.compared, driftsQuery); err != nil {
		return fmt.Errorf("read drift: %w", err)
	}
	for _, d := range b.compared {
		if d.Units != 0 || d.Players != 0 {
			b.Drift = append(b.Drift, d)
		}
	}
	s.Books = b
	return nil
}

func (b Books) collect(ch gauges) {
	for _, kind := range audit.Watched {
		ch.send(auditFindings, float64(b.kinds[kind]), string(kind))
	}
	if b.audited {
		ch.seconds(auditAge, b.AuditAge)
	}
	if b.passed {
		ch.seconds(auditPassAge, b.PassAge)
	}
	for _, d := range b.compared {
		ch.send(driftUnits, float64(d.Units), d.Currency)
		ch.send(driftPlayers, float64(d.Players), d.Currency)
	}
}
