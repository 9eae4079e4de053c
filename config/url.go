package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// URL is an address that may carry a password. It prints with the password
// masked, in every way that Secret does; only Reveal returns it whole.
type URL struct {
	secret Secret
}

// NewURL wraps an address as written; Validate judges it.
func NewURL(raw string) URL { return URL{secret: NewSecret(raw)} }

// Reveal returns the address with its password, for the call that dials it.
func (u URL) Reveal() string { return u.secret.Reveal() }

// IsSet reports whether there is an address.
func (u URL) IsSet() bool { return u.secret.IsSet() }

// String returns the address with *** for its password. What cannot be read for
// certain is masked whole: a password with a stray slash must not show as a path.
func (u URL) String() string {
	parts := u.parts()
	for i, part := range parts {
		parts[i] = maskURL(part)
	}
	// When one part is beyond reading, the comma may have stood in its password.
	if slices.Contains(parts, masked) {
		return masked
	}
	return strings.Join(parts, ",")
}

// parts splits a list of servers, as NATS takes it. Commas elsewhere, such as in
// a PostgreSQL URL of several hosts, do not split.
func (u URL) parts() []string {
	raw := u.Reveal()
	if raw == "" {
		return nil
	}
	pieces := strings.Split(raw, ",")
	for _, piece := range pieces {
		if !strings.Contains(piece, "://") {
			return []string{raw}
		}
	}
	return pieces
}

func maskURL(raw string) string {
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Scheme == "" || parsed.Opaque != "" {
		return masked
	}
	credentials := parsed.User
	parsed.User = nil
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return masked
	}
	for key := range query {
		if lower := strings.ToLower(key); strings.Contains(lower, "pass") || strings.Contains(lower, "secret") ||
			strings.Contains(lower, "token") || strings.Contains(lower, "key") {
			query.Set(key, masked)
		}
	}
	if len(query) > 0 {
		parsed.RawQuery = strings.ReplaceAll(query.Encode(), url.QueryEscape(masked), masked)
	}
	rest := parsed.String()
	if strings.Contains(rest, "@") || strings.Contains(rest, "%40") {
		return masked // an @ outside the credentials: some of this may be password
	}
	if credentials == nil {
		return rest
	}
	return strings.Replace(rest, "://", "://"+maskUser(parsed.Scheme, credentials)+"@", 1)
}

// maskUser keeps the name and hides the password. To NATS a name alone is a token.
func maskUser(scheme string, user *url.Userinfo) string {
	_, hasPassword := user.Password()
	switch {
	case hasPassword:
		return url.User(user.Username()).String() + ":" + masked
	case scheme == "postgres" || scheme == "postgresql":
		return url.User(user.Username()).String()
	}
	return masked
}

// GoString is the form of %#v: the masked address in quotes.
func (u URL) GoString() string { return strconv.Quote(u.String()) }

// Format serves every verb, so that none reaches the password.
func (u URL) Format(f fmt.State, verb rune) { formatMasked(f, verb, u.String()) }

// LogValue is the form in slog records.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON returns the masked address.
func (u URL) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// MarshalText returns the masked address.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// MarshalYAML returns the masked address.
func (u URL) MarshalYAML() (any, error) { return u.String(), nil }
