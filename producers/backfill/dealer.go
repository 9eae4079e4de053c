package backfill

import (
	"context"
	"errors"
	"hash/fnv"
	"io"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// lookMax bounds the rows that are looked at before checkpoints move: a filter that
// leaves out nearly all of them must not keep them waiting.
const lookMax = 50_000

// lanes take the chunks of the files of a run to its workers: those of each file's n-th
// part to the n-th worker.
type lanes struct {
	to   []chan *chunk
	back chan *chunk // whose rows are committed: their memory is used again
}

func newLanes(n int) *lanes {
	l := &lanes{to: make([]chan *chunk, n), back: make(chan *chunk, n)}
	for i := range l.to {
		l.to[i] = make(chan *chunk, 1)
	}
	return l
}

// release takes back what no commit needs any more.
func (l *lanes) release(c *chunk) {
	select {
	case l.back <- c:
	default:
	}
}

// close tells the workers that no more comes.
func (l *lanes) close() {
	for _, to := range l.to {
		close(to)
	}
}

// dealer reads a file and deals its rows to parts, by the transaction that their
// subscription began with: what tells of one purchase stays in order, parts do not meet
// at one, and a player is told of the periods of a subscription at once. (Were two
// versions of a transaction to name different ones, the guard of its row would hold.)
type dealer struct {
	*lanes
	reader reader
	size   int         // statements of a chunk
	beside func() bool // players spend: chunks are no larger than chunkBeside
	parts  []*part
	done   []int64 // per part, the row that is done with
	open   []*chunk
	looked int
	err    error // what ended the file early, once deal has returned; the rows before it are good
}

func newDealer(l *lanes, r reader, size int, beside func() bool, parts []*part, done []int64) *dealer {
	d := &dealer{lanes: l, reader: r, size: size, beside: beside, parts: parts, done: done, open: make([]*chunk, len(parts))}
	for i := range parts {
		d.open[i] = d.fresh(i)
	}
	return d
}

func (d *dealer) fresh(part int) *chunk {
	select {
	case c := <-d.back:
		clear(c.statements)
		return &chunk{part: d.parts[part], statements: c.statements[:0], lines: c.lines[:0], rows: c.rows[:0]}
	default:
	}
	return &chunk{part: d.parts[part], statements: make([]purchases.Statement, 0, d.size), lines: make([]int64, 0, d.size), rows: make([]int64, 0, d.size)}
}

// deal reads until the file's end, or ctx's.
func (d *dealer) deal(ctx context.Context) {
	for {
		next, err := d.reader.next()
		row := d.reader.Row()
		refused, isRow := errors.AsType[*exports.RowError](err)
		if err != nil && !isRow {
			end := errors.Is(err, io.EOF)
			if !end {
				d.err = err
			}
			d.flush(ctx, func(c *chunk) { c.end = end })
			return
		}
		part := d.partOf(next, row, isRow)
		if row > d.done[part] {
			d.open[part].take(next, row, refused)
			n := len(d.open[part].statements)
			if (n >= d.size || n >= chunkBeside && d.beside()) && !d.send(ctx, part) {
				return
			}
		}
		if d.looked++; d.looked >= lookMax {
			if !d.flush(ctx, func(*chunk) {}) {
				return
			}
		}
	}
}

// partOf returns whose a row is. One that says nothing of a purchase is anybody's.
// Whoever changes it has the files that are not finished read anew, as the migration
// backfill_dealt does: a checkpoint counts the rows of its part.
func (d *dealer) partOf(r row, number int64, refused bool) int {
	if refused || r.story == "" {
		return int(number % int64(len(d.parts)))
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.story))
	return int(h.Sum32() % uint32(len(d.parts)))
}

func (d *dealer) send(ctx context.Context, part int) bool {
	c := d.open[part]
	c.last, c.bytes = max(d.reader.Row(), d.done[part]), d.reader.BytesRead()
	d.open[part] = d.fresh(part)
	select {
	case d.to[part] <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// flush sends what every part has.
func (d *dealer) flush(ctx context.Context, mark func(*chunk)) bool {
	d.looked = 0
	for part := range d.parts {
		mark(d.open[part])
		if !d.send(ctx, part) {
			return false
		}
	}
	return true
}
