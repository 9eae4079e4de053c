package operations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// lettersDefault is how many letters a list shows that says no limit.
const lettersDefault = 100

// Letters returns dead letters, newest first.
func (d *Desk) Letters(ctx context.Context, f LetterFilter) ([]Letter, error) {
	if f.Limit <= 0 {
		f.Limit = lettersDefault
	}
	q, err := f.query("SELECT " + letterColumns + " FROM dead_letters")
	if err != nil {
		return nil, err
	}
	return d.letters(ctx, q.text()+q.add(" ORDER BY died_at DESC, event_id, consumer LIMIT ? OFFSET ?", f.Limit, max(f.Offset, 0)), q.args...)
}

func (d *Desk) letters(ctx context.Context, query string, args ...any) ([]Letter, error) {
	var rows []letterRow
	if err := d.DB.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	list := make([]Letter, len(rows))
	for i, row := range rows {
		var err error
		if list[i], err = row.letter(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// query begins a statement over dead_letters with the filter's conditions.
func (f LetterFilter) query(begin string) (query, error) {
	if f.Reason != "" && !slices.Contains(DeathReasons, f.Reason) {
		return query{}, badInput("%q is no reason: there are %v", f.Reason, DeathReasons)
	}
	q := query{sql: begin + " WHERE resolved_at IS NULL"}
	if f.Resolved {
		q.sql = begin + " WHERE resolved_at IS NOT NULL"
	}
	q.andText("consumer = ?", f.Consumer)
	q.andText("type = ?", f.Type)
	q.andText("reason = ?", string(f.Reason))
	q.andText("app_user_id = ?", f.Player)
	q.andText("position(lower(?) IN lower(error)) > 0", f.Error)
	if f.Older > 0 {
		q.and("died_at < now() - ? * interval '1 millisecond'", f.Older.Milliseconds())
	}
	if f.Younger > 0 {
		q.and("died_at > now() - ? * interval '1 millisecond'", f.Younger.Milliseconds())
	}
	return q, nil
}

// LetterCount says how many dead letters a filter chooses, for a preview.
type LetterCount struct {
	Consumer string      `db:"consumer" json:"consumer"`
	Type     string      `db:"type" json:"type"`
	Reason   DeathReason `db:"reason" json:"reason"`
	Letters  int         `db:"letters" json:"letters"`
	Oldest   time.Time   `db:"oldest" json:"oldest"`
}

// CountLetters counts what a filter chooses, by consumer, type and reason.
func (d *Desk) CountLetters(ctx context.Context, f LetterFilter) ([]LetterCount, error) {
	q, err := f.query("SELECT consumer, type, reason, count(*) AS letters, min(died_at) AS oldest FROM dead_letters")
	if err != nil {
		return nil, err
	}
	list := []LetterCount{}
	if err := d.DB.SelectContext(ctx, &list, q.text()+" GROUP BY 1, 2, 3 ORDER BY 1, 2, 3", q.args...); err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	return list, nil
}

// Letter returns one dead letter, or ErrNotFound.
func (d *Desk) Letter(ctx context.Context, key LetterKey) (Letter, error) {
	var row letterRow
	switch err := d.DB.GetContext(ctx, &row, "SELECT "+letterColumns+" FROM dead_letters WHERE event_id = $1 AND consumer = $2", key.EventID, key.Consumer); {
	case errors.Is(err, sql.ErrNoRows):
		return Letter{}, fmt.Errorf("dead letter %s: %w", key, ErrNotFound)
	case err != nil:
		return Letter{}, fmt.Errorf("read dead letter %s: %w", key, err)
	}
	return row.letter()
}

// LettersOf returns the dead letters of an event, one per consumer that set it aside.
func (d *Desk) LettersOf(ctx context.Context, eventID string) ([]Letter, error) {
	return d.letters(ctx, "SELECT "+letterColumns+" FROM dead_letters WHERE event_id = $1 ORDER BY consumer", eventID)
}
