package backfill

import (
	"context"
	"errors"
	"hash/fnv"
	"io"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// chunk is what one commit of one part takes.
type chunk struct {
	statements []purchases.Statement
	lines      []int64 // of the statements
	rows       []int64 // their numbers
	skipped    int64
	refusals   []*exports.RowError
	refused    int64
	last       int64 // the part's rows up to this one are in this chunk or were in one before
	bytes      int64 // that were read of the file by then
	end        bool  // of the file
}

// lookMax bounds the rows that are looked at before checkpoints move: a filter that
// leaves out nearly all of them must not keep them waiting.
const lookMax = 50_000

// dealer reads a file and deals its rows to parts, by the transaction that their
// subscription began with: what tells of one purchase stays in order, parts do not meet
// at one, and a player is told of the periods of a subscription at once. (Were two
// versions of a transaction to name different ones, the guard of its row would hold.)
type dealer struct {
	reader reader
	size   int         // statements of a chunk
	beside func() bool // players spend: chunks are no larger than chunkBeside
	done   []int64     // per part, the row that is done with
	open   []*chunk
	to     []chan *chunk
	back   chan *chunk // whose rows are committed: their memory is used again
	looked int
	err    error // what ended the file early, once deal has returned; the rows before it are good
}

func newDealer(r reader, size int, beside func() bool, done []int64) *dealer {
	d := &dealer{reader: r, size: size, beside: beside, done: done, open: make([]*chunk, len(done)), to: make([]chan *chunk, len(done)), back: make(chan *chunk, len(done))}
	for i := range d.to {
		d.open[i], d.to[i] = d.fresh(), make(chan *chunk, 1)
	}
	return d
}

func (d *dealer) fresh() *chunk {
	select {
	case c := <-d.back:
		clear(c.statements)
		return &chunk{statements: c.statements[:0], lines: c.lines[:0], rows: c.rows[:0]}
	default:
	}
	return &chunk{statements: make([]purchases.Statement, 0, d.size), lines: make([]int64, 0, d.size), rows: make([]int64, 0, d.size)}
}

// deal reads until the file's end, or ctx's, and closes the channels.
func (d *dealer) deal(ctx context.Context) {
	defer func() {
		for _, to := range d.to {
			close(to)
		}
	}()
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
		return int(number % int64(len(d.to)))
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.story))
	return int(h.Sum32() % uint32(len(d.to)))
}

func (d *dealer) send(ctx context.Context, part int) bool {
	c := d.open[part]
	c.last, c.bytes = max(d.reader.Row(), d.done[part]), d.reader.BytesRead()
	d.open[part] = d.fresh()
	select {
	case d.to[part] <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// release takes back what no commit needs any more.
func (d *dealer) release(c *chunk) {
	select {
	case d.back <- c:
	default:
	}
}

// flush sends what every part has.
func (d *dealer) flush(ctx context.Context, mark func(*chunk)) bool {
	d.looked = 0
	for part := range d.to {
		mark(d.open[part])
		if !d.send(ctx, part) {
			return false
		}
	}
	return true
}

func (c *chunk) take(next row, number int64, refused *exports.RowError) {
	switch {
	case refused != nil:
		c.refusals = append(c.refusals, refused)
		c.refused++
	case next.skip:
		c.skipped++
	default:
		c.statements = append(c.statements, next.statement)
		c.lines, c.rows = append(c.lines, next.line), append(c.rows, number)
	}
}

// refuse takes the chunk's one statement out: the database does not take it.
func (c *chunk) refuse(url string, data *outbox.DataError) {
	c.refusals = append(c.refusals, &exports.RowError{
		File: url, Row: c.rows[0], Line: c.lines[0], Reason: "the database refuses it: " + data.Error(),
		Remedy: "look at the row; everything else of the file is recorded",
	})
	c.refused++
	c.statements, c.lines, c.rows = nil, nil, nil
}

// halve splits a chunk that cannot be committed as a whole. What was skipped and
// refused is counted with the second half, which may be the one that ends the file.
func (c *chunk) halve() (one, two *chunk) {
	n := len(c.statements) / 2
	one = &chunk{statements: c.statements[:n], lines: c.lines[:n], rows: c.rows[:n], last: c.rows[n-1]}
	two = &chunk{
		statements: c.statements[n:], lines: c.lines[n:], rows: c.rows[n:], skipped: c.skipped, refused: c.refused,
		last: c.last, bytes: c.bytes, end: c.end,
	}
	return one, two
}
