package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// sessionMax is how long a session lasts, a working day, and idleMax how long it
	// lasts unused.
	sessionMax = 12 * time.Hour
	idleMax    = 2 * time.Hour
	// seenEvery is how exactly the last use is kept, so that looking writes seldom.
	seenEvery = time.Minute

	sessionCookie = "sluice_console"
	loginCookie   = "sluice_console_login" // stands in for a session in the form of the login
)

// session is somebody who is logged in.
type session struct {
	token string // what the browser holds
	Name  string // as the person wrote it
	KeyID string
	Role  Role
}

// Who names the person in the audit log.
func (s session) Who() string { return fmt.Sprintf("%s (%s key %s)", s.Name, s.Role, s.KeyID) }

// May reports whether the holder may do what asks for a role.
func (s session) May(role Role) bool { return s.Role >= role }

// CanAct and CanOperate are May for templates.
func (s session) CanAct() bool     { return s.May(Support) }
func (s session) CanOperate() bool { return s.May(Operator) }

// errNoSession says that nobody is logged in, or not any more.
var errNoSession = errors.New("nobody is logged in")

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// beginSession logs somebody in and forgets sessions that are over.
func (c *Console) beginSession(ctx context.Context, name, keyID string) (token string, err error) {
	token, now := rand.Text(), c.now()
	if _, err := c.db.ExecContext(ctx, `DELETE FROM console_sessions WHERE begun_at < $1 OR seen_at < $2`, now.Add(-sessionMax), now.Add(-idleMax)); err != nil {
		return "", fmt.Errorf("forget old sessions: %w", err)
	}
	if _, err := c.db.ExecContext(ctx, `INSERT INTO console_sessions (begun_at, seen_at, token_hash, key_id, name) VALUES ($1, $1, $2, $3, $4)`,
		now, tokenHash(token), keyID, name); err != nil {
		return "", fmt.Errorf("begin session: %w", err)
	}
	return token, nil
}

// sessionOf returns who sent the request, or errNoSession.
func (c *Console) sessionOf(r *http.Request) (session, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, errNoSession
	}
	return c.readSession(r.Context(), cookie.Value)
}

// readSession finds a session that is neither over nor of a key that was taken out
// of the settings.
func (c *Console) readSession(ctx context.Context, token string) (session, error) {
	now, s := c.now(), session{token: token}
	var seen time.Time
	switch err := c.db.QueryRowxContext(ctx, `SELECT name, key_id, seen_at FROM console_sessions WHERE token_hash = $1 AND begun_at > $2 AND seen_at > $3`,
		tokenHash(token), now.Add(-sessionMax), now.Add(-idleMax)).Scan(&s.Name, &s.KeyID, &seen); {
	case errors.Is(err, sql.ErrNoRows):
		return session{}, errNoSession
	case err != nil:
		return session{}, fmt.Errorf("read session: %w", err)
	}
	if s.Role = c.keys.roleOf(s.KeyID); s.Role == Nobody {
		return session{}, errNoSession
	}
	if now.Sub(seen) >= seenEvery {
		if _, err := c.db.ExecContext(ctx, `UPDATE console_sessions SET seen_at = greatest(seen_at, $2) WHERE token_hash = $1`, tokenHash(token), now); err != nil {
			return session{}, fmt.Errorf("keep session: %w", err)
		}
	}
	return s, nil
}

// endSession logs out, everywhere.
func (c *Console) endSession(ctx context.Context, token string) error {
	_, err := c.db.ExecContext(ctx, `DELETE FROM console_sessions WHERE token_hash = $1`, tokenHash(token))
	return err
}

// formToken is what every form of a session carries: a page of somebody else cannot
// know it. It follows from the cookie, so that nothing is kept.
func formToken(cookie string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("sluice console form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func sameToken(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// setCookie gives the browser a value that no script and no other site can use. An
// empty value takes it away.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	cookie := &http.Cookie{
		Name: name, Value: value, Path: Path, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(r),
		MaxAge: int(sessionMax.Seconds()),
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// secure reports whether the browser came over TLS, to us or to a proxy before us.
// Whoever lies about it only keeps the own cookie off plain HTTP.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
