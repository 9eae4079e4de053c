package producers

import (
	"log/slog"
	"net/http"
)

// Line is a request's line in the log, told what came of the request.
type Line interface {
	// Tell says what came of the request, and what went wrong on our side or is for
	// the log only (nil: nothing). more is written on the line.
	Tell(outcome string, cause error, more ...slog.Attr)
}

// LineOf returns the line that belongs to w, below whatever others wrapped around
// it, or one that nobody reads.
func LineOf(w http.ResponseWriter) Line {
	for inner := w; ; {
		if line, ok := inner.(Line); ok {
			return line
		}
		wrapper, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return noLine{}
		}
		inner = wrapper.Unwrap()
	}
}

type noLine struct{}

// Tell implements Line.
func (noLine) Tell(string, error, ...slog.Attr) {}
