package spendapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// requestIDMax bounds a request id that the client chose.
const requestIDMax = 128

// Wrap puts around a handler what every request gets: a request id, the log line,
// the metrics, and an answer when it panics. cmd wraps its whole mux once, directly,
// so that other roles' endpoints are covered too and the route can be told.
//
// The line has method, route (the pattern, never the path), status, duration_ms,
// bytes, request_id, and where they apply outcome, spend_id and error. Never a
// token, a key or a player's id.
func (a *API) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		x := &exchange{ResponseWriter: w, requestID: a.requestID(r), leaving: &a.leaving}
		x.Header()["X-Request-Id"] = []string{x.requestID}
		traced := a.traced(x, r)
		defer func() { a.finish(x, traced, started, recover()) }()
		next.ServeHTTP(x, traced)
	})
}

// requestID returns the client's request id when it is short and plain, else a
// new one.
func (a *API) requestID(r *http.Request) string {
	values := r.Header["X-Request-Id"]
	if len(values) != 1 || values[0] == "" || len(values[0]) > requestIDMax {
		return a.newID()
	}
	for _, c := range []byte(values[0]) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':'
		if !plain {
			return a.newID()
		}
	}
	return values[0]
}

// finish ends an exchange: it answers for a handler that panicked, writes the log
// line and counts.
func (a *API) finish(x *exchange, r *http.Request, started time.Time, panicked any) {
	cut := false // the answer cannot be completed: the connection is cut, as net/http does
	switch panicked {
	case nil:
	case http.ErrAbortHandler: // the handler's own wish
		cut = true
		x.gone()
	default:
		a.log.ErrorContext(r.Context(), "panic", "request_id", x.requestID, "route", routeOf(r),
			"panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		if cut = x.status != 0; !cut {
			x.problem(internal(nil))
		}
		x.outcome = "panic"
	}
	took := time.Since(started)
	route, status := routeOf(r), x.status
	if status == 0 {
		status = http.StatusOK // net/http sends it for a handler that wrote nothing
	}
	a.metrics.request(route, status, took)
	a.logLine(x, r, route, status, took)
	x.endTrace(r, status)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

func (a *API) logLine(x *exchange, r *http.Request, route string, status int, took time.Duration) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError && x.cause != nil || x.outcome == "panic" {
		level = slog.LevelError
	}
	ctx := r.Context()
	if !a.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("method", methodOf(r)), slog.String("route", route), slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.Int64("bytes", x.bytes),
		slog.String("request_id", x.requestID))
	if x.outcome != "" {
		attrs = append(attrs, slog.String("outcome", x.outcome))
	}
	if x.spendID != "" {
		attrs = append(attrs, slog.String("spend_id", x.spendID))
	}
	attrs = append(attrs, x.more...)
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	a.log.LogAttrs(ctx, level, "request", attrs...)
}

// routeOf returns the pattern that matched. A path may hold ids, a pattern does not.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// methodOf returns the method if it is a known one: a client may invent others.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return r.Method
	}
	return "other"
}
