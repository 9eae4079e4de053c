package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// scope is which spends and calls are looked at: a range of ids, which both have in
// the order of time, or some.
type scope struct {
	after, upTo string   // ids; empty: no bound on that side
	ids         []string // if not nil, only these spends, and their calls
	calls       []string // if not nil, only these calls, and no spend
}

// on returns the condition that a column of spend ids is in scope. Ids are written
// into the statement, so that the planner knows how much it is about.
func (s scope) on(column string) string {
	var parts []string
	switch {
	case s.calls != nil:
		return "false"
	case s.ids != nil:
		parts = append(parts, column+among(s.ids))
	}
	if s.after != "" {
		parts = append(parts, column+" > '"+s.after+"'")
	}
	if s.upTo != "" {
		parts = append(parts, column+" <= '"+s.upTo+"'")
	}
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " AND ")
}

func among(ids []string) string { return " = ANY('{" + strings.Join(ids, ",") + "}'::uuid[])" }

// onCalls returns the condition that a call is in scope.
func (s scope) onCalls() string {
	switch {
	case s.calls != nil:
		return "a.id" + among(s.calls)
	case s.ids != nil:
		return "a.id IN (SELECT adjustment_id FROM spends WHERE id" + among(s.ids) + " UNION ALL SELECT id FROM adjustments WHERE spend_id" + among(s.ids) + ")"
	}
	return s.on("a.id")
}

// in writes the scope into a statement, where it says {column}.
func (s scope) in(query string) string {
	for _, column := range []string{"s.id", "l.spend_id", "g.spend_id", "r.spend_id"} {
		query = strings.ReplaceAll(query, "{"+column+"}", "("+s.on(column)+")")
	}
	return strings.ReplaceAll(query, "{a.id}", "("+s.onCalls()+")")
}

// someOf returns a scope of ids; what is not an id is left out.
func someOf(ids []string) scope {
	list := []string{}
	for _, id := range ids {
		if parsed, err := uuid.Parse(id); err == nil {
			list = append(list, parsed.String())
		}
	}
	return scope{ids: list}
}

// next returns the scope of about size spends that follows after, and whether it is
// the last one. The last one has no upper bound: it holds whatever is there.
func next(ctx context.Context, tx sqlx.QueryerContext, after, begin string, size int) (part scope, last bool, err error) {
	from := "true"
	if low := max(after, begin); low != "" {
		from = "id > '" + low + "'"
	}
	part.after = max(after, begin)
	err = sqlx.GetContext(ctx, tx, &part.upTo, fmt.Sprintf("SELECT id FROM spends WHERE %s ORDER BY id OFFSET %d LIMIT 1", from, size-1))
	if errors.Is(err, sql.ErrNoRows) {
		part.upTo = ""
		return part, true, nil
	}
	return part, false, err
}
