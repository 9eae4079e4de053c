package revenuecat

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// textMax is the most characters of foreign text we pass on.
const textMax = 200

const withheld = "(text withheld: it names the player or the key)"

var codePattern = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// redactor keeps the secret key and the player's id out of foreign text. A text
// that holds one of them, in any usual spelling, is withheld whole: cutting a
// short id out of it would leave a text that lies.
type redactor struct{ secrets []string }

func newRedactor(secrets ...string) redactor {
	var r redactor
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		quoted, _ := json.Marshal(secret) // a string always marshals
		r.secrets = append(r.secrets,
			strings.ToLower(secret),
			strings.ToLower(strings.Trim(string(quoted), `"`)),
			strings.ToLower(url.PathEscape(secret)),
			strings.ToLower(escapeSegment(secret)))
	}
	return r
}

func (r redactor) names(text string) bool {
	text = strings.ToLower(text)
	for _, secret := range r.secrets {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// text returns s in one line of at most textMax characters, or says that it is withheld.
func (r redactor) text(s string) string {
	if r.names(s) {
		return withheld
	}
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > textMax {
		s = string(runes[:textMax]) + "..."
	}
	if r.names(s) { // a control character had hidden it
		return withheld
	}
	return s
}

// code returns the provider's error type, or the usual one of the status when
// it has none or one that is no plain word.
func (r redactor) code(kind string, status int) string {
	if codePattern.MatchString(kind) && !r.names(kind) {
		return kind
	}
	switch {
	case status == http.StatusBadRequest:
		return "invalid_request"
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "authorization_error"
	case status == http.StatusNotFound:
		return "resource_missing"
	case status == http.StatusUnprocessableEntity:
		return typeUnprocessable
	case status == http.StatusLocked:
		return "resource_locked_error"
	case status == http.StatusTooManyRequests:
		return typeRateLimit
	case status >= 500:
		return "server_error"
	}
	return ""
}
