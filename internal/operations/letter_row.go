package operations

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/events"
)

const letterColumns = `event_id, consumer, type, lane, subject, app_user_id, reason, error, stack, attempts, failures, headers, payload, original,
	owed_since, died_at, retries, resolved_at, resolution`

// letterRow is a row of dead_letters as sqlx reads it with letterColumns.
type letterRow struct {
	EventID    string       `db:"event_id"`
	Consumer   string       `db:"consumer"`
	Type       string       `db:"type"`
	Lane       string       `db:"lane"`
	Subject    string       `db:"subject"`
	AppUserID  string       `db:"app_user_id"`
	Reason     DeathReason  `db:"reason"`
	Error      string       `db:"error"`
	Stack      string       `db:"stack"`
	Attempts   int          `db:"attempts"`
	Failures   []byte       `db:"failures"`
	Headers    []byte       `db:"headers"`
	Payload    []byte       `db:"payload"`
	Original   []byte       `db:"original"`
	OwedSince  sql.NullTime `db:"owed_since"`
	DiedAt     time.Time    `db:"died_at"`
	Retries    int          `db:"retries"`
	ResolvedAt sql.NullTime `db:"resolved_at"`
	Resolution string       `db:"resolution"`
}

func (r letterRow) letter() (Letter, error) {
	l := Letter{
		LetterKey: LetterKey{r.EventID, r.Consumer}, Type: r.Type, Lane: r.Lane, Subject: r.Subject, Player: r.AppUserID,
		Reason: r.Reason, Error: r.Error, Stack: r.Stack, Attempts: r.Attempts, Payload: r.Payload, Original: r.Original,
		OwedSince: r.OwedSince.Time.UTC(), DiedAt: r.DiedAt.UTC(), Retries: r.Retries, ResolvedAt: r.ResolvedAt.Time.UTC(), Resolution: r.Resolution,
	}
	if err := json.Unmarshal(r.Failures, &l.Failures); err != nil {
		return Letter{}, fmt.Errorf("dead letter %s: failures: %w", l.LetterKey, err)
	}
	if err := json.Unmarshal(r.Headers, &l.Headers); err != nil {
		return Letter{}, fmt.Errorf("dead letter %s: headers: %w", l.LetterKey, err)
	}
	l.TraceID = traceID(l)
	return l, nil
}

// traceID returns the trace that the event belongs to, from its own bytes or from the
// message's headers; empty: it is in none.
func traceID(l Letter) string {
	event, err := events.Decode(l.Payload)
	if err != nil {
		event = events.Event{}
	}
	// version "-" trace id "-" parent "-" flags (W3C Trace Context)
	parts := strings.Split(cmp.Or(event.Traceparent, l.Headers["traceparent"]), "-")
	if len(parts) != 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}

// side is what an act shows of a letter.
func (l Letter) side() what {
	side := what{"type": l.Type, "error": l.Error, "attempts": l.Attempts, "retries": l.Retries, "died_at": l.DiedAt}
	if !l.ResolvedAt.IsZero() {
		side["resolution"] = l.Resolution
	}
	return side
}
