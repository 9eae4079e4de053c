package operations

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// query is a statement that grows by conditions. A ? stands for the next argument.
type query struct {
	sql  string
	args []any
}

// and adds a condition.
func (q *query) and(condition string, args ...any) { q.sql += q.add(" AND "+condition, args...) }

// andText adds a condition on one text, unless it is empty.
func (q *query) andText(condition, value string) {
	if value != "" {
		q.and(condition, value)
	}
}

// add numbers the placeholders of a piece and keeps its arguments.
func (q *query) add(piece string, args ...any) string {
	for _, arg := range args {
		q.args = append(q.args, arg)
		piece = strings.Replace(piece, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	return piece
}

func (q *query) text() string { return q.sql }

func isUUID(text string) bool {
	_, err := uuid.Parse(text)
	return err == nil
}
