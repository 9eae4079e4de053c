package outbox

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// wholeLookEvery is how often the sweeper looks at all of the outbox and not only at
	// what came since its last look. What a look overlooked waits this long.
	wholeLookEvery = time.Minute
	// wholeLookShare is the most of its time that it does so.
	wholeLookShare = 0.02
	// oldestMax bounds the rows that every look reads: 3 ms. Behind a backlog of more than
	// that, such as a backfill's, it reads on for other queues a smaller share of its time.
	oldestMax   = 2000
	readOnShare = 0.005
)

// fromTheStart is a moment before all others, in PostgreSQL's words.
const fromTheStart = "-infinity"

// lookout finds the queues where anything may be owed. Usually nothing is. While a
// transaction is held open elsewhere the index keeps every row that was deleted
// meanwhile, and a look that began at the oldest would pass more of them each second: so
// it begins where the last one found nothing any more, and now and then at the start. That
// only decides how much is read and how soon a row is found that came late, from a
// transaction of more than sweepMargin; none stays unfound.
type lookout struct {
	now   func() time.Time
	from  any       // due_at of the oldest row that the next look reads; nil: from the start
	whole time.Time // when to look from the start again
	on    time.Time // when to read on behind the oldest again
}

// since returns where a look now begins.
func (l *lookout) since() any {
	if l.from == nil || !l.now().Before(l.whole) {
		return fromTheStart
	}
	return l.from
}

// look returns the queues with a row that fell due, or is old enough to have got lost,
// and where to read for them.
func (l *lookout) look(ctx context.Context, db *sqlx.DB) (doubtful []Queue, since any, err error) {
	since = l.since()
	started := l.now()
	var rows []struct {
		Queue
		Rows  int       `db:"rows"`
		Until time.Time `db:"until"`
	}
	if err := db.SelectContext(ctx, &rows, doubt, sweepMargin.Milliseconds(), since, oldestMax); err != nil {
		return nil, nil, err
	}
	read := 0
	for _, row := range rows {
		read += row.Rows
		if row.Consumer != "" && !slices.Contains(doubtful, row.Queue) {
			doubtful = append(doubtful, row.Queue)
		}
	}
	if read >= oldestMax && !l.now().Before(l.on) {
		began := l.now()
		var others []Queue
		if err := db.SelectContext(ctx, &others, doubtBehind, sweepMargin.Milliseconds(), since); err != nil {
			return nil, nil, err
		}
		doubtful = append(doubtful, slices.DeleteFunc(others, func(q Queue) bool { return slices.Contains(doubtful, q) })...)
		l.on = l.now().Add(time.Duration(float64(l.now().Sub(began)) / readOnShare))
	}
	if since == fromTheStart {
		took := l.now().Sub(started)
		l.whole = l.now().Add(max(wholeLookEvery, time.Duration(float64(took)/wholeLookShare)))
	}
	if len(doubtful) == 0 {
		l.from = rows[0].Until // the row that names no queue is always there
	}
	return doubtful, since, nil
}

// doubt reads the queues with a row that is due, or with one of the oldest that were
// published so long ago that they may be lost, and a row without a queue: until when
// nothing can be. Once for all queues, since each would read past the same dead rows.
const doubt = `
SELECT consumer, lane, count(*) AS rows, now() AS until FROM (SELECT consumer, lane FROM outbox
	WHERE due_at >= $2::timestamptz AND due_at < now() - $1 * interval '1 millisecond' AND published_at IS NOT NULL
	ORDER BY due_at LIMIT $3) oldest GROUP BY consumer, lane
UNION ALL
SELECT DISTINCT consumer, lane, 0, now() FROM outbox WHERE due_at >= $2::timestamptz AND due_at <= now() AND published_at IS NULL
UNION ALL
SELECT '', '', 0, now() - $1 * interval '1 millisecond'`

// doubtBehind reads the queues with any row that may be lost.
const doubtBehind = `
SELECT DISTINCT consumer, lane FROM outbox
WHERE due_at >= $2::timestamptz AND due_at < now() - $1 * interval '1 millisecond' AND published_at IS NOT NULL`
