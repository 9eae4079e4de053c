package spendapi

import (
	"strconv"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/producers"
)

// The answers are written by hand: at 10,000 requests a second reflection would
// be a noticeable part of the processor. A test compares them with encoding/json.

// appendSpend appends the spend object: id, state, item, quantity, cost, reason
// (when there is one), accepted_at, charged_at and finished_at (when they are).
// A grant has its kind and the adjustments instead of item, quantity and cost. It
// names neither the player nor the idempotency key, nor why a grant was made: that
// is between the game's server and the operators.
func appendSpend(out []byte, s economy.Spend) []byte {
	out = append(out, `{"id":`...)
	out = appendString(out, s.ID)
	if s.Kind == economy.KindGrant {
		out = append(out, `,"kind":"grant","state":`...)
		out = appendString(out, string(s.State))
		out = append(out, `,"adjustments":`...)
		out = appendAmounts(out, s.Cost)
	} else {
		out = append(out, `,"state":`...)
		out = appendString(out, string(s.State))
		out = append(out, `,"item":`...)
		out = appendString(out, s.Item)
		out = append(out, `,"quantity":`...)
		out = strconv.AppendInt(out, s.Quantity, 10)
		out = append(out, `,"cost":`...)
		out = appendAmounts(out, s.Cost)
	}
	if s.Reason != "" {
		out = append(out, `,"reason":`...)
		out = appendString(out, string(s.Reason))
	}
	out = appendTime(out, `,"accepted_at":`, s.AcceptedAt)
	out = appendTime(out, `,"charged_at":`, s.ChargedAt)
	out = appendTime(out, `,"finished_at":`, s.FinishedAt)
	return append(out, '}')
}

// appendMember appends the object as a member of the answer: "spend" or "grant".
func appendMember(out []byte, s economy.Spend) []byte {
	out = appendString(out, s.Kind.String())
	out = append(out, ':')
	return appendSpend(out, s)
}

// appendGranted appends what a fulfilled spend handed over.
func appendGranted(out []byte, s economy.Spend) []byte {
	out = append(out, `[{"item":`...)
	out = appendString(out, s.Item)
	out = append(out, `,"quantity":`...)
	out = strconv.AppendInt(out, s.Quantity, 10)
	return append(out, `}]`...)
}

func appendAmounts(out []byte, amounts economy.Amounts) []byte {
	out = append(out, '{')
	if len(amounts) == 1 { // almost always: nothing to sort
		for currency, amount := range amounts {
			out = appendAmount(out, currency, amount)
		}
		return append(out, '}')
	}
	for i, currency := range amounts.Currencies() {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendAmount(out, currency, amounts[currency])
	}
	return append(out, '}')
}

func appendAmount(out []byte, currency economy.Currency, amount economy.Amount) []byte {
	out = appendString(out, string(currency))
	out = append(out, ':')
	return strconv.AppendInt(out, int64(amount), 10)
}

// appendTime appends a member with a moment in UTC, nothing for the zero time.
// It is rounded as PostgreSQL rounds it, so that a notice and the row tell the same.
func appendTime(out []byte, name string, at time.Time) []byte {
	if at.IsZero() {
		return out
	}
	out = append(out, name...)
	out = append(out, '"')
	out = at.UTC().Round(time.Microsecond).AppendFormat(out, time.RFC3339Nano)
	return append(out, '"')
}

// appendString appends a JSON string.
func appendString(out []byte, s string) []byte { return producers.AppendString(out, s) }

// buffer is memory for one body, used again and again.
type buffer struct{ b []byte }

const (
	bufferSize    = 1 << 10 // every answer and nearly every request of ours fits
	bufferKeepMax = bodyMax + 1
)

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, bufferSize)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// give returns the buffer. Nothing may point into it any more.
func (b *buffer) give() {
	if cap(b.b) > bufferKeepMax {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}
