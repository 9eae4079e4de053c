package monitor

import (
	"context"
	"fmt"
)

func (m *Monitor) readAttention(ctx context.Context, s *Snapshot) error {
	var row struct {
		Attention
		Age float64 `db:"age"` // seconds
	}
	err := m.db.GetContext(ctx, &row, `SELECT count(*) FILTER (WHERE unknown_since IS NOT NULL) AS unknown,
			count(*) FILTER (WHERE needs_operator <> '') AS needs_operator, count(*) FILTER (WHERE held) AS held,
			coalesce(greatest(0, extract(epoch FROM now() - min(unknown_since))), 0)::float8 AS age
		FROM spends WHERE unknown_since IS NOT NULL OR needs_operator <> '' OR held`)
	if err != nil {
		return fmt.Errorf("count spends that need somebody: %w", err)
	}
	row.UnknownAge = secondsOf(row.Age)
	s.Attention = &row.Attention
	return nil
}

func (m *Monitor) readDeadLetters(ctx context.Context, s *Snapshot) error {
	var rows []struct {
		Consumer string  `db:"consumer"`
		Open     int64   `db:"open"`
		Age      float64 `db:"age"` // seconds
	}
	err := m.db.SelectContext(ctx, &rows, `SELECT consumer, count(*) AS open, greatest(0, extract(epoch FROM now() - min(died_at)))::float8 AS age
		FROM dead_letters WHERE resolved_at IS NULL GROUP BY consumer ORDER BY consumer`)
	if err != nil {
		return fmt.Errorf("count dead letters: %w", err)
	}
	s.DeadLetters = []DeadLetters{}
	for _, r := range rows {
		s.DeadLetters = append(s.DeadLetters, DeadLetters{Consumer: r.Consumer, Open: r.Open, OldestAge: secondsOf(r.Age)})
	}
	return nil
}

func (m *Monitor) readPauses(ctx context.Context, s *Snapshot) error {
	var rows []struct {
		Pause
		Age float64 `db:"age"` // seconds
	}
	err := m.db.SelectContext(ctx, &rows, `SELECT scope, name, since, who, reason, greatest(0, extract(epoch FROM now() - since))::float8 AS age
		FROM pauses WHERE until IS NULL OR until > now() ORDER BY since, scope, name`)
	if err != nil {
		return fmt.Errorf("read pauses: %w", err)
	}
	s.Pauses = []Pause{}
	for _, r := range rows {
		r.Since, r.Pause.Age = r.Since.UTC(), secondsOf(r.Age)
		s.Pauses = append(s.Pauses, r.Pause)
	}
	return nil
}

// paused tells whether an operator paused a consumer on a lane.
func (s Snapshot) paused(consumer, lane string) bool {
	for _, p := range s.Pauses {
		if p.Scope == "consumer" && p.Name == consumer || p.Scope == "lane" && p.Name == lane {
			return true
		}
	}
	return false
}

// pauseScopes are what can be paused.
var pauseScopes = []string{"consumer", "lane", "item", "currency"}

// pausedFor is for how long something of a scope has been paused; 0: nothing is.
func (s Snapshot) pausedFor(scope string) Seconds {
	for _, p := range s.Pauses { // the oldest first
		if p.Scope == scope {
			return p.Age
		}
	}
	return 0
}
