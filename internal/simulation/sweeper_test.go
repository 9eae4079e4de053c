package simulation

import (
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	sweepInterval = time.Second     // as in outbox.Sweeper
	sweepMargin   = 5 * time.Second // as in outbox.Sweeper
)

// sweep models outbox.Sweeper: a row is owed when it is due and was published
// longer ago, by the margin, than its consumer's oldest unfinished message.
func (w *world) sweep() {
	w.swept = w.now()
	for _, spec := range specs {
		older := w.now().Add(-w.stream.oldest(spec.Name) - sweepMargin)
		var owed []*outboxRow
		for _, row := range w.db.outbox {
			lost := row.published.Before(older) && !w.onlyParked
			if row.consumer == spec.Name && !row.due.After(w.now()) && (row.published.IsZero() || lost) {
				owed = append(owed, row)
			}
		}
		slices.SortStableFunc(owed, func(a, b *outboxRow) int { return a.due.Compare(b.due) })
		for _, row := range owed {
			row.published, row.due = w.now(), w.now()
			row.republished++
			w.republish(row)
		}
	}
}

func (w *world) republish(row *outboxRow) {
	event, err := events.Decode(row.payload)
	if err != nil {
		panic(err)
	}
	header := map[string]string{outbox.HeaderAttempts: strconv.FormatInt(row.attempts, 10)}
	id := row.event + "." + strconv.Itoa(row.republished)
	if w.wrong.republishSameID {
		id = row.event
	}
	w.stream.publish(event, id, header)
}
