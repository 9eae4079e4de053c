package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

const (
	// watchEvery is how often what changed is audited.
	watchEvery = time.Minute
	// margin is how much of what was audited is looked at again: a line carries the
	// time of the clock of whoever decided it, and is committed later. Commits take 15 s
	// at most, clocks differ by seconds.
	margin = 5 * time.Minute
	// openMax bounds the open spends that are looked at every time, newest first.
	openMax = 50_000
	// watcherLock is the advisory lock of the one watcher at work ("audit" in hex).
	watcherLock = 0x6175646974
	// findingsMax bounds the findings that are logged one by one at a time.
	findingsMax = 20
)

// Watcher audits what changed, every minute, and a part of everything else: so
// a slow pass goes over the whole database again and again. It keeps what it finds
// in audit_findings until that is mended.
type Watcher struct {
	DB   *sqlx.DB
	Log  *slog.Logger
	Part int // spends of the slow pass at a time; 0: PartSpends

	open []string // spends that were open at the last look
}

// Run audits every minute until ctx ends. Of all processes only one is at work.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if _, err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "audit: not this time", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Look audits once what changed since the last look, the open spends, what was found
// wrong before, and the next part of the slow pass. It returns what is wrong with
// them. Where another process is at it, it does nothing.
func (w *Watcher) Look(ctx context.Context) ([]Finding, error) {
	lock, err := w.DB.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = lock.Rollback() }() // and with it the lock
	var mine bool
	if err := lock.GetContext(ctx, &mine, "SELECT pg_try_advisory_xact_lock($1)", watcherLock); err != nil || !mine {
		return nil, err
	}
	from, err := w.position(ctx)
	if err != nil {
		return nil, err
	}
	look, err := w.audit(ctx, from)
	if err != nil {
		return nil, err
	}
	return look.wrong, w.keep(ctx, look)
}

// position is how far the audits got.
type position struct {
	AuditedAt   time.Time      `db:"audited_at"`
	PassBegunAt time.Time      `db:"pass_begun_at"`
	PassEndedAt sql.NullTime   `db:"pass_ended_at"`
	PassAfter   sql.NullString `db:"pass_after"`
}

func (w *Watcher) position(ctx context.Context) (position, error) {
	var p position
	err := w.DB.GetContext(ctx, &p, "SELECT audited_at, pass_begun_at, pass_ended_at, pass_after FROM audit_positions")
	if errors.Is(err, sql.ErrNoRows) { // what was before is left to the slow pass
		err = w.DB.QueryRowxContext(ctx, "SELECT now(), now()").Scan(&p.AuditedAt, &p.PassBegunAt)
	}
	if err != nil {
		return p, fmt.Errorf("audit: read position: %w", err)
	}
	return p, nil
}

// look is what one look found.
type look struct {
	next   position
	at     time.Time
	before []Finding // open until now, and looked at again
	wrong  []Finding
	whole  bool // the slow pass came to its end
}

func (w *Watcher) audit(ctx context.Context, from position) (look, error) {
	first, err := take(ctx, w.DB)
	if err != nil {
		return look{}, err
	}
	defer first.release()
	b, err := first.beside(ctx, w.DB)
	if err != nil {
		return look{}, err
	}
	defer b.release()
	l := look{next: from, at: first.at, wrong: first.changed}
	l.next.AuditedAt = first.safe
	if err := first.tx.SelectContext(ctx, &l.before, `SELECT kind, subject, line, currency, app_user_id, units, detail FROM audit_findings WHERE mended_at IS NULL`); err != nil {
		return look{}, fmt.Errorf("audit: read findings: %w", err)
	}
	since := from.AuditedAt.Add(-margin)
	for _, part := range []func() error{
		func() error { return l.recent(ctx, first, b, since) },
		func() error { return w.others(ctx, first, b, since, &l) },
		func() error { return w.pass(ctx, first, b, &l) },
	} {
		if err := part(); err != nil {
			return look{}, err
		}
	}
	l.wrong = sorted(l.wrong)
	return l, nil
}

// recent audits the spends accepted since.
func (l *look) recent(ctx context.Context, first, b *snapshot, since time.Time) error {
	for after := ""; ; {
		part, last, err := next(ctx, first.tx, after, firstID(since), PartSpends)
		if err != nil {
			return err
		}
		if err := l.part(ctx, b, part); err != nil || last {
			return err
		}
		after = part.upTo
	}
}

func (l *look) part(ctx context.Context, b *snapshot, part scope) error {
	var sums Sums
	wrong, err := b.part(ctx, part, &sums)
	l.wrong = append(l.wrong, wrong...)
	return err
}

// firstID is the least id that a spend accepted at a time can have (UUIDv7).
func firstID(at time.Time) string {
	var id uuid.UUID
	for i, ms := 5, at.UnixMilli(); i >= 0; i-- {
		id[i], ms = byte(ms), ms>>8
	}
	return id.String()
}

// othersQuery reads the spends accepted before that have new lines or are open.
const othersQuery = `SELECT spend_id::text FROM ledger_entries WHERE entered_at >= $1 AND spend_id <= $2
	UNION (SELECT id::text FROM spends WHERE finished_at IS NULL AND id <= $2 ORDER BY seq DESC LIMIT $3)`

// others audits older spends: those with new lines, those that are open or were at
// the last look, and those that something was wrong with.
func (w *Watcher) others(ctx context.Context, first, b *snapshot, since time.Time, l *look) error {
	var ids []string
	if err := first.tx.SelectContext(ctx, &ids, othersQuery, since, firstID(since), openMax); err != nil {
		return fmt.Errorf("audit: read what changed: %w", err)
	}
	var open []string
	if err := first.tx.SelectContext(ctx, &open, `SELECT id::text FROM spends WHERE finished_at IS NULL ORDER BY seq DESC LIMIT $1`, openMax); err != nil {
		return fmt.Errorf("audit: read what is open: %w", err)
	}
	ids = slices.Concat(ids, w.open, subjectsOf(l.before, aSpend))
	w.open = open
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), PartSpends/10) {
		if err := l.part(ctx, b, someOf(part)); err != nil {
			return err
		}
	}
	calls := subjectsOf(l.before, aCall)
	if len(calls) == 0 {
		return nil
	}
	wrong, err := b.exactOfCalls(ctx, scope{calls: calls})
	l.wrong = append(l.wrong, wrong...)
	return err
}

// pass audits the next part of everything, and at its end what has no spend.
func (w *Watcher) pass(ctx context.Context, first, b *snapshot, l *look) error {
	size := w.Part
	if size == 0 {
		size = PartSpends
	}
	part, last, err := next(ctx, first.tx, l.next.PassAfter.String, "", size)
	if err != nil {
		return err
	}
	if err := l.part(ctx, b, part); err != nil {
		return err
	}
	l.next.PassAfter = sql.NullString{String: part.upTo, Valid: !last}
	if !last {
		return nil
	}
	l.whole = true
	l.next.PassEndedAt = sql.NullTime{Time: l.at, Valid: true}
	l.next.PassBegunAt = l.at
	var report Report
	if err := errors.Join(first.movements(ctx, &report), first.corrections(ctx, &report)); err != nil {
		return err
	}
	l.wrong = append(l.wrong, report.Wrong...)
	return nil
}
