package producers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ProblemBase begins the `type` of every problem. The addresses are names: they
// stay the same for ever and need not be reachable.
const ProblemBase = "https://sluice.dev/problems/"

// Problem is the answer to a request that failed (RFC 9457). The type, which is
// ProblemBase and the slug, has one status and one title wherever it is used.
type Problem struct {
	Slug   string // the last part of the type
	Status int
	Title  string // what it is, the same for every occurrence
	Short  string // the extra member `error`: a short text

	Detail     string        // what happened here and what to do about it
	Instance   string        // optional: the address of what it is about
	RetryAfter time.Duration // 0: no header
}

// AppendTo appends the JSON form without its closing brace, so that members may
// follow.
func (p *Problem) AppendTo(out []byte) []byte {
	out = append(out, `{"type":"`+ProblemBase...)
	out = append(out, p.Slug...)
	out = append(out, `","title":`...)
	out = AppendString(out, p.Title)
	out = append(out, `,"status":`...)
	out = strconv.AppendInt(out, int64(p.Status), 10)
	out = append(out, `,"detail":`...)
	out = AppendString(out, p.Detail)
	if p.Instance != "" {
		out = append(out, `,"instance":`...)
		out = AppendString(out, p.Instance)
	}
	out = append(out, `,"error":`...)
	return AppendString(out, p.Short)
}

// Answer sends the problem.
func (p *Problem) Answer(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		header.Set("Retry-After", Seconds(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(p.AppendTo(nil), '}')) // fails only when the client is gone
}

// Seconds formats a wait for Retry-After: whole seconds, rounded up.
func Seconds(wait time.Duration) string {
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

// AppendString appends a JSON string as encoding/json writes it. Plain ASCII,
// which is nearly everything here, is copied.
func AppendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s) // a string always encodes
			return append(out, raw...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}
