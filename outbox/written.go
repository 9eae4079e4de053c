package outbox

import (
	"fmt"
	"strings"
)

// Written returns what a row would write, by the names of its kind's columns; a
// missing name is NULL. It reads back the very literals that a commit sends, so
// that a model of the database acts on what is written and not on what was meant.
// effect is the id of the Effects the row belongs to.
func Written(row Row, effect string) map[string]string {
	kind := row.Kind()
	columns := NewColumns(len(kind.Columns))
	row.AppendTo(columns, effect)
	if columns.next != 0 {
		panic(fmt.Sprintf("outbox: a row of %s wrote %d columns too many or too few", kind.Name, columns.next))
	}
	values := make(map[string]string, len(kind.Columns))
	for i, column := range kind.Columns {
		literal := string(columns.literals[i][1:]) // after the opening brace
		switch {
		case literal == "NULL":
		case strings.HasPrefix(literal, `"`):
			values[column.Name] = unquoted(literal)
		default:
			values[column.Name] = literal
		}
	}
	return values
}

// unquoted undoes appendQuoted.
func unquoted(literal string) string {
	inner := literal[1 : len(literal)-1]
	if !strings.Contains(inner, `\`) {
		return inner
	}
	var out strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' {
			i++
		}
		out.WriteByte(inner[i])
	}
	return out.String()
}
