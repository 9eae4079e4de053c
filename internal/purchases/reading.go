package purchases

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// Reading is a whole reading of a customer from the provider's API.
type Reading struct {
	AppUserID  string    // the id that was asked for
	StartedAt  time.Time // before the first call: every change before is in it
	FinishedAt time.Time
	Found      bool  // false: the provider does not know the customer
	Purchases  int64 // facts it brought
	Changed    int64 // those among them that changed what is known
}

// ReadingOf returns the newest whole reading of a customer by any of its ids, or
// ErrNotFound.
func (s *Store) ReadingOf(ctx context.Context, appUserIDs []string) (Reading, error) {
	var rows []struct {
		AppUserID  string    `db:"app_user_id"`
		StartedAt  time.Time `db:"started_at"`
		FinishedAt time.Time `db:"finished_at"`
		Found      bool      `db:"found"`
		Purchases  int64     `db:"purchases"`
		Changed    int64     `db:"changed"`
	}
	err := s.db.SelectContext(ctx, &rows, `SELECT app_user_id, started_at, finished_at, found, purchases, changed FROM customer_readings
		WHERE app_user_id = ANY($1) AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT 1`, postgres.Array(appUserIDs))
	if err != nil {
		return Reading{}, fmt.Errorf("read readings: %w", err)
	}
	if len(rows) == 0 {
		return Reading{}, ErrNotFound
	}
	r := rows[0]
	return Reading{r.AppUserID, r.StartedAt.UTC(), r.FinishedAt.UTC(), r.Found, r.Purchases, r.Changed}, nil
}

// Wished is the guard of an operator's wish to read a customer again. It always
// applies. By is who wishes and why.
type Wished struct {
	AppUserID string
	At        time.Time
	By        string
}

var wishedKind = readingKind("reading_wished", `wished_at, wished_by`, `excluded.wished_at, excluded.wished_by`, "wished_at",
	outbox.Column{Name: "wished_at", Type: "timestamptz"}, outbox.Column{Name: "wished_by", Type: "text"})

// ReadingBegun is the guard of what a reading finds before it is whole, such as
// aliases. It always applies.
type ReadingBegun struct {
	AppUserID string
	At        time.Time
}

var begunKind = readingKind("reading_begun", `begun_at`, `excluded.begun_at`, "begun_at", outbox.Column{Name: "begun_at", Type: "timestamptz"})

// ReadingDone is the guard of a whole reading. It always applies; a reading that
// started earlier than the one that is kept changes nothing.
type ReadingDone struct{ Reading }

var doneKind = readingKind("reading_done", `started_at, finished_at, purchases, changed, found`,
	`excluded.started_at, excluded.finished_at, excluded.purchases, excluded.changed, excluded.found`, "started_at",
	outbox.Column{Name: "started_at", Type: "timestamptz"}, outbox.Column{Name: "finished_at", Type: "timestamptz"},
	outbox.Column{Name: "purchases", Type: "bigint"}, outbox.Column{Name: "changed", Type: "bigint"}, outbox.Column{Name: "found", Type: "boolean"})

// readingKind is a guard that writes some columns of a customer's readings, unless
// the time in newest is younger there. It always applies.
func readingKind(name, columns, values, newest string, types ...outbox.Column) *outbox.Kind {
	return &outbox.Kind{
		Name:    name,
		Columns: append([]outbox.Column{{Name: "app_user_id", Type: "text"}}, types...),
		Steps: []outbox.Step{
			{Name: "upsert", SQL: `INSERT INTO customer_readings AS c (app_user_id, ` + columns + `)
				SELECT app_user_id, ` + columns + ` FROM {rows} ORDER BY app_user_id
				ON CONFLICT (app_user_id) DO UPDATE SET (` + columns + `) = ROW(` + values + `)
				WHERE c.` + newest + ` IS NULL OR c.` + newest + ` < excluded.` + newest},
			{Name: "effects", SQL: `SELECT effect FROM {rows}`},
		},
		Judge: `SELECT effect, 'applied' FROM {rows}`,
	}
}

// Kind implements outbox.Row.
func (w Wished) Kind() *outbox.Kind { return wishedKind }

// AppendTo implements outbox.Row.
func (w Wished) AppendTo(c *outbox.Columns, _ string) {
	c.Text(w.AppUserID)
	c.Time(w.At)
	c.Text(w.By)
}

// GuardKey implements outbox.GuardRow.
func (w Wished) GuardKey() string { return readingKey(w.AppUserID) }

// Kind implements outbox.Row.
func (b ReadingBegun) Kind() *outbox.Kind { return begunKind }

// AppendTo implements outbox.Row.
func (b ReadingBegun) AppendTo(c *outbox.Columns, _ string) {
	c.Text(b.AppUserID)
	c.Time(b.At)
}

// GuardKey implements outbox.GuardRow.
func (b ReadingBegun) GuardKey() string { return readingKey(b.AppUserID) }

// Kind implements outbox.Row.
func (d ReadingDone) Kind() *outbox.Kind { return doneKind }

// AppendTo implements outbox.Row.
func (d ReadingDone) AppendTo(c *outbox.Columns, _ string) {
	c.Text(d.AppUserID)
	c.Time(d.StartedAt)
	c.Time(d.FinishedAt)
	c.Int(d.Purchases)
	c.Int(d.Changed)
	c.Bool(d.Found)
}

// GuardKey implements outbox.GuardRow.
func (d ReadingDone) GuardKey() string { return readingKey(d.AppUserID) }

func readingKey(appUserID string) string { return "reading:" + appUserID }

// Delivery tells where an event's delivery to a consumer stands: still owed, or set
// aside as a dead letter, and with which error. Neither: it is done, or never was.
func (s *Store) Delivery(ctx context.Context, eventID, consumer string) (owed bool, dead string, err error) {
	var row struct {
		Owed bool           `db:"owed"`
		Dead sql.NullString `db:"dead"`
	}
	err = s.db.GetContext(ctx, &row, `SELECT EXISTS (SELECT FROM outbox WHERE event_id = $1 AND consumer = $2) AS owed,
		(SELECT error FROM dead_letters WHERE event_id = $1 AND consumer = $2 AND resolved_at IS NULL) AS dead`, eventID, consumer)
	if err != nil {
		return false, "", fmt.Errorf("read delivery: %w", err)
	}
	return row.Owed, row.Dead.String, nil
}
