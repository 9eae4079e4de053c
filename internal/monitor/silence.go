package monitor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// WebhookRetrySpan is for how long the provider tries to deliver a webhook: six
// attempts, the last 155 minutes after the first (RevenueCat docs, Webhooks,
// retries). Whoever was down for longer may have lost some.
const WebhookRetrySpan = 155 * time.Minute

// Gap is a time of which webhooks may be missing.
type Gap struct {
	Cause string    `json:"cause" db:"cause"`    // outage: we could not take any; silence: none came although the game went on
	From  time.Time `json:"from" db:"from_at"`   // the last moment before at which all was well
	Until time.Time `json:"until" db:"until_at"` // of a silence that lasts: when it was looked at last
}

// Causes of gaps.
const (
	Outage  = "outage"
	Silence = "silence"
)

// Command is what makes up for a gap, as far as the provider's API can: it does not
// tell who is new, or what was refunded, which the next export does.
func (g Gap) Command() string {
	// Whole seconds, outwards.
	return fmt.Sprintf("sluice webhooks resync --from %s --until %s",
		g.From.UTC().Truncate(time.Second).Format(time.RFC3339), g.Until.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
}

// Backfill is what brings the rest, from an export that was made after the gap: who is
// new, and what was refunded or transferred. What changed after the gap is in it, too, and harmless.
func (g Gap) Backfill() string {
	return "sluice backfill transactions --since " + g.From.UTC().Truncate(time.Second).Format(time.RFC3339) + " URL"
}

// String says what is suspect.
func (g Gap) String() string {
	why := "no webhook could be received"
	if g.Cause == Silence {
		why = "no webhook came although the game went on"
	}
	return fmt.Sprintf("Webhooks may be missing from %s until %s: %s. The command mends what the API knows; with the exports since then: %s",
		g.From.UTC().Format(time.RFC3339), g.Until.UTC().Format(time.RFC3339), why, g.Backfill())
}

// Signals are what silence is told by.
type Signals struct {
	Since    time.Time `db:"since"`    // since when webhooks are taken; zero: they never were
	Last     time.Time `db:"last"`     // when the last accepted webhook came; zero: never
	Activity time.Time `db:"activity"` // when a player last spent or claimed; zero: never
	Resolved time.Time `db:"resolved"` // until when silences were made up for; zero: none was
}

// Quiet returns since when no webhook has come; zero when none is expected.
func (s Signals) Quiet() time.Time {
	if s.Since.IsZero() || s.Last.After(s.Since) {
		return s.Last
	}
	return s.Since
}

// Gap returns the silence there is at a moment: no webhook for longer than after,
// and players who went on meanwhile and still do. after 0: there never is one. A game
// that sleeps is no silence, nor is a silence that was made up for, until it has
// lasted as long again.
func (s Signals) Gap(now time.Time, after time.Duration) (Gap, bool) {
	from := s.Quiet()
	if s.Resolved.After(from) {
		from = s.Resolved
	}
	if after <= 0 || s.Since.IsZero() || now.Sub(from) <= after {
		return Gap{}, false
	}
	goesOn := s.Activity.After(from) && now.Sub(s.Activity) < after
	return Gap{Cause: Silence, From: from, Until: now}, goesOn
}

// signalsQuery reads each newest row by an index: ids of spends and claims are in the
// order of time.
const signalsQuery = `SELECT
	(SELECT since FROM webhook_heartbeat) AS since,
	(SELECT received_at FROM webhook_events WHERE verdict = 'accepted' ORDER BY received_at DESC LIMIT 1) AS last,
	greatest((SELECT accepted_at FROM spends ORDER BY id DESC LIMIT 1), (SELECT claimed_at FROM claims ORDER BY id DESC LIMIT 1)) AS activity,
	(SELECT max(until_at) FROM webhook_gaps WHERE cause = 'silence' AND resolved_at IS NOT NULL) AS resolved`

func readSignals(ctx context.Context, db *sqlx.DB) (Signals, error) {
	var row struct {
		Since    sql.NullTime `db:"since"`
		Last     sql.NullTime `db:"last"`
		Activity sql.NullTime `db:"activity"`
		Resolved sql.NullTime `db:"resolved"`
	}
	if err := db.GetContext(ctx, &row, signalsQuery); err != nil {
		return Signals{}, fmt.Errorf("read what webhooks are expected by: %w", err)
	}
	return Signals{row.Since.Time, row.Last.Time, row.Activity.Time, row.Resolved.Time}, nil
}

// Webhooks is how webhooks reach us.
type Webhooks struct {
	// Last is when the last accepted webhook came; null: never.
	Last *time.Time `json:"last"`
	// Silence is the time since then, or since webhooks are taken; 0 when they are not.
	Silence Seconds `json:"silence_seconds"`
	// Suspect are the gaps that nobody has made up for, oldest first.
	Suspect []SuspectGap `json:"suspect"`
}

// SuspectGap is a gap with what makes up for it.
type SuspectGap struct {
	Gap
	Command  string `json:"command"`
	Backfill string `json:"backfill"` // of who is new, was refunded or transferred, from the next export
}

func (m *Monitor) readWebhooks(ctx context.Context, now time.Time, s *Snapshot) error {
	w, err := readWebhooks(ctx, m.db, now)
	if err == nil {
		s.Webhooks = &w
	}
	return err
}

func readWebhooks(ctx context.Context, db *sqlx.DB, now time.Time) (Webhooks, error) {
	w := Webhooks{Suspect: []SuspectGap{}}
	signals, err := readSignals(ctx, db)
	if err == nil && !signals.Last.IsZero() {
		last := signals.Last.UTC()
		w.Last = &last
	}
	if quiet := signals.Quiet(); err == nil && !signals.Since.IsZero() {
		w.Silence = Seconds(max(0, now.Sub(quiet)))
	}
	var gaps []Gap
	gapsErr := db.SelectContext(ctx, &gaps, "SELECT cause, from_at, until_at FROM webhook_gaps WHERE resolved_at IS NULL ORDER BY from_at, cause")
	if gapsErr != nil {
		gapsErr = fmt.Errorf("read gaps of webhooks: %w", gapsErr)
	}
	for _, g := range gaps {
		g.From, g.Until = g.From.UTC(), g.Until.UTC()
		w.Suspect = append(w.Suspect, SuspectGap{g, g.Command(), g.Backfill()})
	}
	return w, errors.Join(err, gapsErr)
}
