package rcwebhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureHeader is X-RevenueCat-Webhook-Signature as net/http writes it.
// Source: RevenueCat docs, Webhooks, HMAC webhook signing.
const signatureHeader = "X-Revenuecat-Webhook-Signature"

// signaturesMax bounds the v1 values of one header; RevenueCat sends one.
const signaturesMax = 8

// Proof is how a webhook proves that RevenueCat sent it. Whatever is configured
// must hold. The functions are asked at every webhook, so that what they return may
// be rotated; an empty value proves nothing.
type Proof struct {
	// Authorization is the exact value of the header; nil: it is not checked.
	Authorization func() string
	// Secrets may each have signed; nil: the signature is not checked.
	Secrets func() []string
	// Tolerance is how far the time of signing may be from our clock, both ways. It is
	// the time of the attempt, so retries need no more.
	Tolerance time.Duration
}

// refusal is why a webhook is not authentic: for the log and the metrics, never for
// the caller.
type refusal string

// The refusals.
const (
	badAuthorization   refusal = "authorization"
	missingSignature   refusal = "signature_missing"
	malformedSignature refusal = "signature_malformed"
	staleSignature     refusal = "signature_stale"
	futureSignature    refusal = "signature_future"
	badSignature       refusal = "signature"
)

// Error implements error.
func (r refusal) Error() string { return "not authentic: " + string(r) }

// asRefusal returns the refusal in err; empty: there is none.
func asRefusal(err error) refusal {
	r, _ := errors.AsType[refusal](err)
	return r
}

// header checks what can be told before the body is read.
func (p Proof) header(h http.Header) error {
	if p.Authorization == nil {
		return nil
	}
	sent, want := h["Authorization"], p.Authorization()
	if len(sent) != 1 || want == "" || !same(sent[0], want) {
		return badAuthorization
	}
	return nil
}

// same compares in a time that depends on neither content nor length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// body checks the signature over the bytes as they came.
func (p Proof) body(h http.Header, body []byte, now time.Time) error {
	if p.Secrets == nil {
		return nil
	}
	sent := h[signatureHeader]
	if len(sent) == 0 {
		return missingSignature
	}
	s, ok := parseSignature(sent)
	if !ok {
		return malformedSignature
	}
	switch age := time.Unix(now.Unix(), 0).Sub(time.Unix(s.seconds, 0)); { // in the whole seconds that t has
	case age > p.Tolerance:
		return staleSignature
	case age < -p.Tolerance:
		return futureSignature
	}
	valid := 0
	for _, secret := range p.Secrets() { // all of them, so that the time does not tell which
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(s.time + ".")) // a hash never fails
		_, _ = mac.Write(body)
		sum := mac.Sum(nil)
		for _, v1 := range s.v1 {
			valid |= subtle.ConstantTimeCompare(sum, v1)
		}
	}
	if valid != 1 {
		return badSignature
	}
	return nil
}

// signature is the header's value, t=<unix seconds>,v1=<hex>.
type signature struct {
	time    string // as it was sent: it is what was signed
	seconds int64
	v1      [][]byte
}

// parseSignature reads the header. Parts with names that we do not know are passed
// over; a second time, or a time that is not digits only, is none.
func parseSignature(sent []string) (s signature, ok bool) {
	if len(sent) != 1 {
		return s, false
	}
	for part := range strings.SplitSeq(sent[0], ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return s, false
		}
		switch name {
		case "t":
			n, err := strconv.ParseUint(value, 10, 40) // until the year 36812
			if err != nil || s.time != "" || value[0] == '+' {
				return s, false
			}
			s.time, s.seconds = value, int64(n)
		case "v1":
			sum, err := hex.DecodeString(value)
			if err != nil || len(sum) != sha256.Size || len(s.v1) == signaturesMax {
				return s, false
			}
			s.v1 = append(s.v1, sum)
		}
	}
	return s, s.time != "" && len(s.v1) > 0
}
