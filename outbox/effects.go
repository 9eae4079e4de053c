package outbox

import (
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/events"
)

// Effects is what one step wants changed, as a value: it says everything and
// does nothing. All of it is committed, or none.
type Effects struct {
	// ID names this step. The guard stores it, so that a commit whose answer was
	// lost is still known as ours. Left empty, Commit assigns one.
	ID string
	// Guard is the one row, and the state it leaves, on which everything else
	// depends: if it does not apply, nothing does.
	Guard GuardRow
	// Rows follow from the guard.
	Rows []Row
	// Events are owed to their consumers from this commit on.
	Events []events.Event
	// EventsTraced says that each of the events names the trace it belongs to, if any.
	// Otherwise all of them continue the trace of the commit.
	EventsTraced bool
	// Done are the deliveries that this commit finishes.
	Done []Delivery
	// Notices tell what the commit made of spends. Those that ended go to waiting
	// requests, best effort; how long they and the charged ones took is measured.
	Notices []events.Notice
	// Touches names what it changes besides the guard's key, in the same form
	// ("player:p1"). Two Effects that share a key are never in one batch.
	Touches []string
	// Owner is whose data this is. After a data error the owner's effects are
	// committed alone, until a thousand other owners had one, so that they cannot
	// fail others' commits.
	Owner string
	// Intake marks new work. Under load later steps go first, so that fulfilment
	// keeps pace with acceptance.
	Intake bool
}

// Delivery is one event on its way to one consumer: the key of an outbox row.
type Delivery struct{ EventID, Consumer string }

// Row is one row of a Kind. AppendTo writes its values in the order of the
// Kind's columns. effect is the id of the Effects the row belongs to.
type Row interface {
	Kind() *Kind
	AppendTo(c *Columns, effect string)
}

// GuardRow is a Row that decides whether its Effects apply.
type GuardRow interface {
	Row
	// GuardKey names the row that is guarded, such as "spend:<id>".
	GuardKey() string
}

// Kind describes the rows of one sort: how they travel in a statement and what
// is done with them. A package declares its kinds as variables; the committer
// knows nothing of them but this.
type Kind struct {
	Name    string   // unique; lower case and underscores, it becomes part of the SQL
	Columns []Column // in the order AppendTo writes them
	// Steps are the common table expressions that do the work, in order. In their
	// SQL {rows} stands for the rows (an int column "effect" and the columns) and
	// {name} for an earlier step of the same kind. The last step of a guard returns
	// the column "effect" of those that applied; of every other kind {rows} holds
	// only the rows of effects that did. Rows are few and tables are large: reach a
	// table by its key, and find a row among a step's by (x IN (SELECT ..)) IS TRUE,
	// which is a hash; a join of two steps would compare each with each.
	Steps []Step
	// Judge, of a guard only, tells why an effect did not apply: SQL over {rows}
	// that returns effect and one of 'applied' (by this very effect, earlier),
	// 'duplicate' or 'stale'. No row means stale. Empty: every such effect is Otherwise.
	Judge     string
	Otherwise Result
}

// Column is a column's name and PostgreSQL type.
type Column struct{ Name, Type string }

// Step is one common table expression.
type Step struct{ Name, SQL string }

// Result is what became of Effects.
type Result int

// The results of a commit.
const (
	// Applied: everything is committed, by this call or by an earlier try of the
	// same Effects whose answer was lost.
	Applied Result = iota + 1
	// Duplicate: the same thing was done before by somebody else; nothing changed.
	Duplicate
	// Stale: the guarded row is not in the state the Effects leave; nothing
	// changed. Load it again and decide again.
	Stale
)

// String returns the result's name for logs.
func (r Result) String() string {
	switch r {
	case Applied:
		return "applied"
	case Duplicate:
		return "duplicate"
	case Stale:
		return "stale"
	}
	return fmt.Sprintf("result(%d)", int(r))
}

// The errors of Commit.
var (
	// ErrUnavailable: PostgreSQL could not be reached in time. The Effects may or
	// may not be committed; committing them again, with the same ID, tells.
	ErrUnavailable = errors.New("database is unavailable")
	// ErrOverloaded: the committer's queue is full. Nothing was committed.
	ErrOverloaded = errors.New("too many commits are waiting")
	// ErrClosed: the committer is shut down. Nothing was committed.
	ErrClosed = errors.New("committer is closed")
)

// DataError says that these Effects cannot be stored as they are (SQLSTATE
// classes 22 and 23, such as a broken constraint). Nothing of them was
// committed, and the same Effects will fail again.
type DataError struct{ Err error }

// Error implements error.
func (e *DataError) Error() string { return "cannot be stored: " + e.Err.Error() }

// Unwrap returns the database's error.
func (e *DataError) Unwrap() error { return e.Err }
