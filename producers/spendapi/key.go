package spendapi

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// keyMax is the longest idempotency key, in characters.
const keyMax = 255

// The members that hold an idempotency key: apps write it in their way, game
// servers in theirs.
const (
	keyMember       = "idempotencyKey"
	serverKeyMember = "idempotency_key"
)

// chooseKey returns the request's idempotency key from the header, the body's
// member, or both when they say the same.
func chooseKey(header []string, member, inBody string, hasBody bool) (string, *problem) {
	if len(header) == 0 {
		if !hasBody {
			return "", problemf(BadIdempotencyKey, `The idempotency key is missing. Make a new key per purchase, keep it over retries, and send it as %q in the body or as the header Idempotency-Key.`, member)
		}
		return inBody, checkKey(inBody)
	}
	key, ok := headerKey(header)
	if !ok {
		return "", problemf(BadIdempotencyKey, `The header Idempotency-Key cannot be read. Send it once, either bare or as one string in double quotes, in which \" and \\ stand for a quote and a backslash.`)
	}
	if hasBody && inBody != key {
		return "", problemf(BadIdempotencyKey, `The header Idempotency-Key and the member %q differ. Send one of them, or the same in both.`, member)
	}
	return key, checkKey(key)
}

// headerKey reads the header: a string as in RFC 8941 in double quotes, or the
// bare key.
func headerKey(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	value := strings.Trim(values[0], " \t")
	if !strings.HasPrefix(value, `"`) {
		return value, true
	}
	var key strings.Builder
	for i := 1; i < len(value); i++ {
		switch c := value[i]; c {
		case '"':
			return key.String(), i == len(value)-1
		case '\\':
			i++
			if i == len(value) || (value[i] != '"' && value[i] != '\\') {
				return "", false
			}
			key.WriteByte(value[i])
		default:
			key.WriteByte(c)
		}
	}
	return "", false // no closing quote
}

// checkKey returns what is wrong with a key.
func checkKey(key string) *problem {
	switch {
	case !utf8.ValidString(key):
		return problemf(BadIdempotencyKey, "The idempotency key is not UTF-8. Send letters and digits, such as a UUID.")
	case key == "" || utf8.RuneCountInString(key) > keyMax:
		return problemf(BadIdempotencyKey, "The idempotency key has %d characters. Send 1 to %d, such as a UUID.", utf8.RuneCountInString(key), keyMax)
	case strings.IndexFunc(key, unicode.IsControl) >= 0:
		return problemf(BadIdempotencyKey, "The idempotency key holds a control character. Send letters and digits, such as a UUID.")
	}
	return nil
}
