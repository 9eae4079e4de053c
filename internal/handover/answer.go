package handover

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// answerMax bounds the bytes of an answer that are read; the longest has three
	// short members.
	answerMax = 64 << 10
	// reasonMax bounds the game's own words, in characters.
	reasonMax = 200
	// pauseMax bounds what a Retry-After can ask for: more is a mistake that would
	// keep players waiting.
	pauseMax = 10 * time.Minute
)

// reply is what came of one HTTP request.
type reply struct {
	status int // 0: no answer
	body   []byte
	after  time.Duration // what Retry-After asked for; 0: nothing
	detail string        // status 0, or a body that broke off
	gaveUp bool          // status 0: it was the caller who ended the request
}

// answer is the body of an answer. The members that are pointers may be left out.
type answer struct {
	SpendID   string  `json:"spend_id"`
	State     Kind    `json:"state"`
	Reason    string  `json:"reason"`
	Quantity  *int64  `json:"quantity"`
	AppUserID *string `json:"app_user_id"`
	Item      *string `json:"item"`
}

// words are the answers that an operation may have.
var words = map[Operation][]Kind{
	OpGrant:  {Granted, Refused, Revoked},
	OpCheck:  {Granted, Revoked, None},
	OpRevoke: {Revoked, Granted},
}

// classify turns a reply into an outcome. It is pure. Only what is certain is
// definite: a page of some proxy, an answer about another spend, or a word that
// makes no sense is no answer, and the endpoint is asked again.
func classify(r request, got reply) Outcome {
	failed := func(format string, args ...any) Outcome {
		return Outcome{Kind: Failed, Status: got.status, After: got.after, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case got.status == 0 && got.gaveUp:
		return Outcome{Kind: Later, Detail: got.detail}
	case got.status == 0:
		return failed("%s", got.detail)
	case got.status != http.StatusOK:
		return failed("answered %d, which is not 200", got.status)
	case got.detail != "":
		return failed("answered 200, and %s", got.detail)
	}
	var a answer
	if err := json.Unmarshal(got.body, &a); err != nil {
		return failed("answered 200 without the JSON of an answer")
	}
	switch {
	case a.SpendID != r.SpendID:
		return failed("answered about another spend_id, or none")
	case !slices.Contains(words[r.Operation], a.State):
		return failed("answered a %s with a state that is none of %v", r.Operation, words[r.Operation])
	case a.AppUserID != nil && *a.AppUserID != r.AppUserID:
		return failed("answered about another app_user_id")
	case a.Item != nil && *a.Item != r.Item:
		return failed("answered about another item")
	case a.State == Granted && a.Quantity != nil && *a.Quantity != r.Quantity:
		return failed("answered with a quantity of %d, not %d", *a.Quantity, r.Quantity)
	}
	return Outcome{Kind: a.State, Status: got.status, Reason: shown(a.Reason, r.AppUserID)}
}

// shown returns the game's words fit for a log: short, on one line, and without
// the player's id.
func shown(reason, player string) string {
	reason = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(reason, "?"))
	if player != "" {
		reason = strings.ReplaceAll(reason, player, "***")
	}
	if letters := []rune(reason); len(letters) > reasonMax {
		reason = string(letters[:reasonMax]) + "…"
	}
	return strings.TrimSpace(reason)
}

// retryAfter reads a Retry-After header: seconds, or a date.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		wait = time.Duration(min(seconds, pauseMax.Seconds()) * float64(time.Second))
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), pauseMax)
}
