package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// transaction is one statement of the committer's: it applies as a whole or not
// at all.
type transaction struct {
	*database
	effect  string
	guarded string // the kind of its guard, and the row
	by      values
	undo    []func()
	touched map[string]bool // rows it has updated
}

// refusal is a constraint that a transaction breaks; it is thrown and caught.
type refusal struct{ error }

// values are a row as written; a missing one is NULL.
type values map[string]string

func (v values) int(name string) int64 {
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil {
		panic(refusal{err})
	}
	return n
}

func (v values) amounts(name string) economy.Amounts {
	amounts, err := books.DecodeAmounts([]byte(v[name]))
	if err != nil {
		panic(refusal{err})
	}
	return amounts
}

func (v values) millis(name string) time.Duration {
	return time.Duration(v.int(name)) * time.Millisecond
}

func (v values) time(name string) time.Time {
	text, ok := v[name]
	if !ok {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(refusal{err})
	}
	return at
}

// commit models one batch of outbox.Committer with one member, and what its
// caller is told: the guard, all that follows from it, or a judgement.
func (d *database) commit(effects outbox.Effects) (result outbox.Result, err error) {
	tx := &transaction{database: d, effect: effects.ID, touched: map[string]bool{}}
	guard := effects.Guard.Kind().Name
	defer func() {
		if thrown, ok := recover().(refusal); ok {
			tx.rollBack()
			result, err = 0, &outbox.DataError{Err: thrown.error}
		}
		d.say("commit %s %s [%s]: %v %v", guard, effects.Guard.GuardKey(), effects.ID, result, err)
		if !d.alone {
			d.checkAlways()
		}
	}()
	row := values(outbox.Written(effects.Guard, effects.ID))
	tx.guarded, tx.by = guard, row
	if !tx.guard(guard, row) {
		return tx.judge(guard, row), nil
	}
	for _, follows := range effects.Rows {
		tx.row(follows.Kind().Name, outbox.Written(follows, effects.ID))
	}
	for _, done := range effects.Done {
		tx.deleteOwed(done.EventID, done.Consumer)
	}
	for _, event := range effects.Events {
		payload, err := event.Encode()
		if err != nil {
			return 0, err
		}
		for _, consumer := range subscriptions[event.Type] {
			tx.insertOwed(event.ID, consumer, payload)
		}
	}
	return outbox.Applied, nil
}

func (tx *transaction) rollBack() {
	for _, undo := range slices.Backward(tx.undo) {
		undo()
	}
}

func (tx *transaction) refuse(format string, args ...any) {
	panic(refusal{fmt.Errorf(format, args...)})
}

// change remembers a value for a roll back, just before it is assigned to.
func change[T any](tx *transaction, field *T, value T) {
	old := *field
	tx.undo = append(tx.undo, func() { *field = old })
	*field = value
}

// update marks a row as updated. PostgreSQL lets one statement update a row once;
// a second update of it in the same statement is lost without a word.
func (tx *transaction) update(row string) {
	if tx.touched[row] {
		tx.broken("one statement updates %s twice", row)
	}
	tx.touched[row] = true
}

func (tx *transaction) deleteOwed(event, consumer string) (deleted bool) {
	row := tx.owed(event, consumer)
	if row == nil {
		return false
	}
	rest := slices.DeleteFunc(slices.Clone(tx.outbox), func(other *outboxRow) bool { return other == row })
	change(tx, &tx.outbox, rest)
	return true
}

func (tx *transaction) insertOwed(event, consumer string, payload []byte) {
	if tx.owed(event, consumer) == nil { // ON CONFLICT DO NOTHING
		row := &outboxRow{event: event, consumer: consumer, payload: payload, due: tx.now(), published: tx.now()}
		change(tx, &tx.outbox, append(slices.Clone(tx.outbox), row))
	}
}

// list reads a uuid[] literal.
func list(literal string) []string {
	return strings.FieldsFunc(strings.Trim(literal, "{}"), func(r rune) bool { return r == ',' })
}
