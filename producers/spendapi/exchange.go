package spendapi

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// statusGone is what the log and the metrics show when the client hung up before
// the answer (nginx's convention; it is never sent).
const statusGone = 499

// exchange is one request on its way: the ResponseWriter with what the log line
// and the metrics need to know.
type exchange struct {
	http.ResponseWriter
	requestID string
	more      []slog.Attr // what a handler that is not ours says on the log line
	status    int         // 0: nothing was sent yet
	bytes     int64
	outcome   string // what came of it: a problem's slug or a word of ours
	spendID   string
	cause     error        // what went wrong on our side
	leaving   *atomic.Bool // the answer asks the client to close; nil: never
	span      trace.Span   // nil: the request is not traced
}

var connectionClose = []string{"close"}

// exchangeOf finds the exchange that Wrap made, below whatever others wrapped
// around it, or makes one.
func exchangeOf(w http.ResponseWriter) *exchange {
	for inner := w; ; {
		if x, ok := inner.(*exchange); ok {
			return x
		}
		wrapper, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return &exchange{ResponseWriter: w}
		}
		inner = wrapper.Unwrap()
	}
}

// WriteHeader implements http.ResponseWriter. It remembers the first final status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		x.status = status
		if x.leaving != nil && x.leaving.Load() {
			x.Header()["Connection"] = connectionClose
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(body []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(body)
	x.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher for handlers around this API that stream.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// Unwrap lets http.ResponseController find what is below.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// send writes a whole answer. Answers depend on the session, so nobody may store
// them.
func (x *exchange) send(status int, contentType []string, body []byte) {
	header := x.Header()
	header["Content-Type"] = contentType
	header["Cache-Control"] = noStore
	x.WriteHeader(status)
	_, _ = x.Write(body) // fails only when the client is gone
}

// gone ends the exchange without an answer.
func (x *exchange) gone() {
	x.outcome = "client_gone"
	if x.status == 0 {
		x.status = statusGone
	}
}

// Tell implements producers.Line.
func (x *exchange) Tell(outcome string, cause error, more ...slog.Attr) {
	x.outcome, x.cause, x.more = outcome, cause, append(x.more, more...)
}
