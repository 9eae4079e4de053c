package revenuecat

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The provider's error types that we act on (RevenueCat API v2, schema Error).
const (
	typeUnprocessable = "unprocessable_entity_error"
	typeStore         = "store_error"
	typeExists        = "resource_already_exists"
	typeIdempotency   = "idempotency_error"
	typeRateLimit     = "rate_limit_error"
)

// waitMax caps what an answer can make us wait. The provider's window is one
// minute, and an old page gave Retry-After in milliseconds: more than this is
// a misunderstanding, and asking again every five minutes harms nobody.
const waitMax = 5 * time.Minute

// problem is the error body of the provider, as far as it could be read. No
// member is certain to be set, and the body may not be JSON at all.
type problem struct {
	readable bool
	kind     string // `type`
	message  string
	param    string
	backoff  time.Duration // `backoff_ms`
}

// parseProblem reads each member by itself, so that one of an unexpected type
// does not cost the others.
func parseProblem(body []byte) problem {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return problem{}
	}
	p := problem{readable: true}
	for name, target := range map[string]*string{"type": &p.kind, "message": &p.message, "param": &p.param} {
		_ = json.Unmarshal(members[name], target) // not a string: reads as not set
	}
	text := string(bytes.Trim(members["backoff_ms"], `"`))
	if ms, err := strconv.ParseFloat(text, 64); err == nil && ms > 0 {
		p.backoff = time.Duration(min(ms, float64(waitMax.Milliseconds()))) * time.Millisecond
	}
	return p
}

var (
	balanceWords   = regexp.MustCompile(`(?i)\b(balance|funds)\b`)
	notEnoughWords = regexp.MustCompile(`(?i)\b(not enough|insufficient|not sufficient|too low)\b`)
)

// speaksOfBalance reports whether the provider says that the balance does not
// cover the change. It has no code of its own for that: type and param name it,
// or the message does (RevenueCat docs, sample of a rejected spend).
func (p problem) speaksOfBalance() bool {
	if p.kind == typeUnprocessable && p.param == "adjustments" {
		return true
	}
	return balanceWords.MatchString(p.message) && notEnoughWords.MatchString(p.message)
}

func (p problem) words(broken bool) string {
	switch {
	case broken:
		return "the answer broke off"
	case !p.readable:
		return "the answer is not a JSON object"
	case p.param != "":
		return p.message + " (" + p.param + ")"
	}
	return p.message
}

// waitAsked returns how long an answer asks us to wait: backoff_ms wins over
// Retry-After, which is in seconds or a date. 0: it does not say, or not in a
// way that can be read. Never more than waitMax.
func waitAsked(header http.Header, p problem, now time.Time) time.Duration {
	if p.backoff > 0 {
		return p.backoff
	}
	return retryAfter(header, now)
}

func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds > 0) { // NaN, too
			return 0
		}
		return time.Duration(min(seconds, waitMax.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), waitMax)
	}
	return 0
}
