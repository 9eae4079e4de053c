package outbox

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Within writes effects in a transaction of the caller's, beside whatever else is in
// it: all of it is committed, or nothing. It returns what becomes of each if the
// transaction commits. For producers of many facts, whose checkpoint must be in the
// commit of the facts: everybody else's is Committer.Commit.
//
// Effects that share a guard's row must not be in one call, but where the guard's own
// statement says which of them wins. Nothing is handed to the broker: the sweeper finds
// the events. Errors are the database's; the transaction is lost then.
func Within(ctx context.Context, tx *sqlx.Tx, subscriptions Subscriptions, list []Effects) ([]Result, error) {
	batch := make([]*pending, len(list))
	for i, effects := range list {
		if effects.ID == "" {
			effects.ID = NewID()
		}
		owed, err := owedRows(subscriptions, effects.Events)
		if err != nil {
			return nil, err
		}
		batch[i] = &pending{effects: effects, owed: owed}
	}
	results := make([]Result, len(list))
	if len(list) == 0 {
		return results, nil
	}
	w := within{ctx: ctx, tx: tx}
	st, sets := gathered(batch, newRowSet)
	if err := w.query(st, sets, func(position int, _ string) { results[position] = Applied }); err != nil {
		return nil, err
	}
	return results, judge(w, batch, results)
}

// within runs a batch's statements in somebody's transaction.
type within struct {
	ctx context.Context // of the one call of Within
	tx  *sqlx.Tx
}

func (w within) query(st statement, sets map[*Kind]*rowSet, each func(position int, verdict string)) error {
	var args []any
	for _, kind := range st.kinds {
		args = sets[kind].args(args)
	}
	rows, err := w.tx.QueryContext(w.ctx, st.sql(), args...)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return scanned(rows, each)
}
