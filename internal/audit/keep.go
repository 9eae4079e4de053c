package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// keepFinding writes a finding. One that was mended and is there again is a new one.
const keepFinding = `INSERT INTO audit_findings AS f (kind, subject, line, currency, app_user_id, units, detail, found_at)
	VALUES (:kind, :subject, :line, :currency, :app_user_id, :units, :detail, now())
	ON CONFLICT (kind, subject, line, currency) DO UPDATE SET app_user_id = excluded.app_user_id, units = excluded.units, detail = excluded.detail,
		found_at = CASE WHEN f.mended_at IS NULL THEN f.found_at ELSE excluded.found_at END, mended_at = NULL`

// keep writes down how far the audit got and what it found, in one commit, and logs
// what was not known before. The log names spends, not players.
func (w *Watcher) keep(ctx context.Context, l look) error {
	tx, err := w.DB.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.NamedExecContext(ctx, `INSERT INTO audit_positions (audited_at, pass_begun_at, pass_ended_at, pass_after)
		VALUES (:audited_at, :pass_begun_at, :pass_ended_at, :pass_after)
		ON CONFLICT (single) DO UPDATE SET audited_at = excluded.audited_at, pass_begun_at = excluded.pass_begun_at,
			pass_ended_at = excluded.pass_ended_at, pass_after = excluded.pass_after`, l.next); err != nil {
		return fmt.Errorf("audit: keep position: %w", err)
	}
	for _, f := range l.wrong {
		if _, err := tx.NamedExecContext(ctx, keepFinding, f); err != nil {
			return fmt.Errorf("audit: keep finding: %w", err)
		}
	}
	mended := l.mended()
	for _, f := range mended {
		if _, err := tx.NamedExecContext(ctx, `UPDATE audit_findings SET mended_at = now()
			WHERE kind = :kind AND subject = :subject AND line = :line AND currency = :currency`, f); err != nil {
			return fmt.Errorf("audit: keep finding: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	w.tell(ctx, l, mended)
	return nil
}

// mended are the findings that were looked at again and are not wrong any more. The
// provider's movements and the corrections are looked at when the slow pass ends.
func (l *look) mended() []Finding {
	return slices.DeleteFunc(slices.Clone(l.before), func(f Finding) bool {
		return contains(l.wrong, f) || !l.whole && f.Kind.about() == anEntry
	})
}

func contains(list []Finding, f Finding) bool {
	return slices.ContainsFunc(list, func(g Finding) bool { return compareFindings(f, g) == 0 })
}

func (w *Watcher) tell(ctx context.Context, l look, mended []Finding) {
	told := 0
	for _, f := range l.wrong {
		if contains(l.before, f) {
			continue
		}
		if told++; told > findingsMax {
			continue
		}
		w.Log.ErrorContext(ctx, "a book does not balance: run sluice audit", "finding", f.Kind, "subject", f.Subject, "line", f.Line, "currency", f.Currency, "units", f.Units)
	}
	if told > findingsMax {
		w.Log.ErrorContext(ctx, "more books do not balance: run sluice audit", "findings", told-findingsMax)
	}
	for _, f := range mended[:min(len(mended), findingsMax)] {
		w.Log.InfoContext(ctx, "a book balances again", "finding", f.Kind, "subject", f.Subject, "line", f.Line)
	}
}

// Findings returns what the watcher found and nobody mended, oldest first, at most
// limit.
func Findings(ctx context.Context, db *sqlx.DB, limit int) ([]Finding, error) {
	list := []Finding{}
	err := db.SelectContext(ctx, &list, `SELECT kind, subject, line, currency, app_user_id, units, detail
		FROM audit_findings WHERE mended_at IS NULL ORDER BY found_at, subject LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return list, nil
}
