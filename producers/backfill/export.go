package backfill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

// Export writes an archive of the webhooks we keep.
type Export struct {
	DB          *sqlx.DB
	Since       time.Time // received then or later; zero: from the first on
	Until       time.Time // and before then; zero: up to now
	Types       []string  // as the provider names them; none: all
	Players     []string  // App User IDs, any that the event names; none: everybody's
	Undecodable bool      // also what was kept for inspection, and is no event
	Report      func(Exported)
}

// Exported is what came of an export.
type Exported struct {
	Events      int64     `json:"events"`
	First       time.Time `json:"first,omitzero"` // when the first of them arrived
	Last        time.Time `json:"last,omitzero"`
	Cleared     int64     `json:"cleared"`     // left out, since their bodies are gone by age; whose they were is not known
	Undecodable int64     `json:"undecodable"` // left out, since they are no events
}

// exportPage is how many webhooks are read at once. A body may have a megabyte, most have
// a few kilobytes.
const exportPage = 200

// Write writes one line per webhook, see Archived, in the order of arrival. It reads by
// pages, so that it takes no more memory for more, and holds no snapshot: what arrives
// meanwhile, before Until, may be in it or not. Errors are the database's and w's; what
// was written before is good.
func (e *Export) Write(ctx context.Context, w io.Writer) (Exported, error) {
	var out Exported
	var line []byte
	at, id := e.Since, "00000000-0000-0000-0000-000000000000"
	for {
		page, err := e.page(ctx, at, id)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for i := range page {
			row := &page[i]
			at, id = row.ReceivedAt, row.ID
			switch {
			case row.Body == nil:
				out.Cleared++
				continue
			case !e.wants(row.Body):
				continue
			case row.Verdict == string(purchases.Undecodable) && !e.Undecodable:
				out.Undecodable++
				continue
			}
			archived := Archived{
				ReceivedAt: row.ReceivedAt, Type: row.Type, Environment: row.Environment, Verdict: row.Verdict, EventID: row.EventKey, Body: row.Body,
			}
			if err := json.Unmarshal(row.Headers, &archived.Headers); err != nil {
				return out, fmt.Errorf("webhook %s: read headers: %w", row.ID, err)
			}
			line = append(archived.Append(line[:0]), '\n')
			if _, err := w.Write(line); err != nil {
				return out, err
			}
			if out.Events++; out.Events == 1 {
				out.First = row.ReceivedAt.UTC()
			}
			out.Last = row.ReceivedAt.UTC()
		}
		if e.Report != nil {
			e.Report(out)
		}
	}
}

// keptRow is a row of webhook_events.
type keptRow struct {
	ID          string          `db:"id"`
	ReceivedAt  time.Time       `db:"received_at"`
	EventKey    string          `db:"event_key"`
	Verdict     string          `db:"verdict"`
	Type        string          `db:"type"`
	Environment string          `db:"environment"`
	Headers     json.RawMessage `db:"headers"`
	Body        []byte          `db:"body"`
}

// page reads the webhooks after one, in the order of arrival.
func (e *Export) page(ctx context.Context, at time.Time, id string) ([]keptRow, error) {
	var page []keptRow
	err := e.DB.SelectContext(ctx, &page, `SELECT id, received_at, event_key, verdict, type, environment, headers, body FROM webhook_events
		WHERE received_at >= $1 AND (received_at, id) > ($1, $2::uuid) AND ($3::timestamptz IS NULL OR received_at < $3)
			AND (cardinality($4::text[]) = 0 OR type = ANY($4)) ORDER BY received_at, id LIMIT $5`,
		at, id, orNull(e.Until), postgres.Array(append([]string{}, e.Types...)), exportPage)
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return page, nil
}

func orNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// wants reports whether a body names one of the players, if any are wanted. What cannot
// be read names nobody.
func (e *Export) wants(body []byte) bool {
	if len(e.Players) == 0 {
		return true
	}
	event, err := webhooks.Parse(body)
	return err == nil && !Filter{Players: e.Players}.leavesOut(event.At, "", event.AppUserID, event.Named)
}
