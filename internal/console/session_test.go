package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/console"
)

// fill puts something into the variable parts of a pattern.
func fill(path string) string {
	return strings.NewReplacer("{$}", "", "{id}", "00000000-0000-7000-8000-000000000000", "{rest...}", "nowhere").Replace(path)
}

func TestNobodySeesOrDoesAnythingWithoutAKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	visitor, guesser := h.visitor(), h.visitor()
	require.Equal(t, http.StatusUnauthorized, guesser.logIn("Eve", "a guess").status)
	require.NotContains(t, h.log.String(), "a guess")
	for _, pattern := range h.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if path == "/console/login" {
			continue
		}
		for _, p := range []*person{visitor, guesser} {
			a := p.do(method, fill(path), url.Values{})
			switch {
			case path == "/console/events": // not a page: it must not be asked for again and again
				require.Equal(t, http.StatusNoContent, a.status, pattern)
			case method == http.MethodGet:
				require.Equal(t, http.StatusSeeOther, a.status, pattern)
				require.True(t, strings.HasPrefix(a.header.Get("Location"), "/console/login?to="), pattern)
			default:
				require.Equal(t, http.StatusUnauthorized, a.status, pattern)
			}
			require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'", pattern)
			require.NotContains(t, a.header.Get("Content-Security-Policy"), "unsafe", pattern)
		}
	}
}

// TestEachRoleMayDoWhatItMay sends every form there is as every role.
func TestEachRoleMayDoWhatItMay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	support := map[string]bool{"/console/players/resync": true, "/console/players/note": true}
	forms := 0
	for _, role := range []struct {
		key           string
		acts, operate bool
	}{{viewerKey, false, false}, {supportKey, true, false}, {operatorKey, true, true}} {
		p := h.enter(role.key)
		for _, pattern := range h.Patterns() {
			method, path, _ := strings.Cut(pattern, " ")
			if method != http.MethodPost || path == "/console/login" || path == "/console/logout" {
				continue
			}
			forms++
			a := p.send(fill(path), "id", "somebody", "act", "retry", "which", "all", "scope", "item", "name", "nothing")
			if may := role.operate || role.acts && support[path]; may {
				require.NotEqual(t, http.StatusForbidden, a.status, "%s %s\n%s", role.key, path, a.body)
			} else {
				require.Equal(t, http.StatusForbidden, a.status, "%s %s", role.key, path)
			}
		}
	}
	require.Greater(t, forms, 20)
	require.Equal(t, 4, h.count("SELECT count(*) FROM operator_acts"), "support and the operator had a player read again and wrote a note; nothing else was there to act on")
}

func TestAFormThatIsNotOursDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	anna, other := h.enter(operatorKey), h.enter(operatorKey)
	form := func(token string) url.Values {
		return url.Values{"form": {token}, "reason": {"a test"}, "scope": {"item"}, "name": {"sword"}}
	}
	mine, theirs := anna.token("/console/spends"), other.token("/console/spends")
	require.NotEqual(t, mine, theirs)
	for name, a := range map[string]answer{
		"no token":        anna.do(http.MethodPost, "/console/pauses/pause", form("")),
		"another session": anna.do(http.MethodPost, "/console/pauses/pause", form(theirs)),
		"another site":    anna.do(http.MethodPost, "/console/pauses/pause", form(mine), "Sec-Fetch-Site", "cross-site"),
		"another origin":  anna.do(http.MethodPost, "/console/pauses/pause", form(mine), "Origin", "https://evil.example"),
		"no reason":       anna.do(http.MethodPost, "/console/pauses/pause", url.Values{"form": {mine}, "scope": {"item"}, "name": {"sword"}}),
		"too large":       anna.do(http.MethodPost, "/console/pauses/pause", url.Values{"form": {mine}, "reason": {strings.Repeat("x", 2<<20)}}),
	} {
		require.Contains(t, []int{http.StatusForbidden, http.StatusBadRequest}, a.status, name)
	}
	require.Zero(t, h.count("SELECT count(*) FROM pauses"))
	require.Equal(t, http.StatusSeeOther, anna.do(http.MethodPost, "/console/pauses/pause", form(mine)).status)
	require.Equal(t, 1, h.count("SELECT count(*) FROM pauses"))
	stranger := h.visitor()
	require.Equal(t, http.StatusForbidden, stranger.do(http.MethodPost, "/console/login", url.Values{"name": {"Eve"}, "key": {operatorKey}}).status, "nor is anybody logged in by another site")
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	in := func(p *person) bool { return p.get("/console/spends").status == http.StatusOK }
	elsewhere := func(p *person, url string) *person { return &person{p.t, p.client, url} }
	_, second := h.serve(h.config)

	loggedOut := h.enter(operatorKey)
	require.True(t, in(elsewhere(loggedOut, second)), "every process knows it")
	require.Equal(t, http.StatusSeeOther, elsewhere(loggedOut, second).send("/console/logout").status)
	require.False(t, in(loggedOut), "and every process knows that it ended")

	unused, used, revoked := h.enter(viewerKey), h.enter(viewerKey), h.enter(supportKey)
	cfg := h.config
	cfg.Keys = []console.Key{{Role: console.Viewer, Key: viewerKey}}
	_, third := h.serve(cfg)
	require.True(t, in(elsewhere(used, third)))
	require.False(t, in(elsewhere(revoked, third)), "its key is not in the settings any more")
	cfg.Keys = []console.Key{{Role: console.Viewer, Key: supportKey}}
	_, fourth := h.serve(cfg)
	require.Equal(t, http.StatusForbidden, elsewhere(revoked, fourth).send("/console/players/resync", "id", "p").status, "its key is a viewer's now")

	for passed := time.Duration(0); passed < console.SessionMax; passed += console.IdleMax - time.Minute {
		require.True(t, in(used))
		h.advance(console.IdleMax - time.Minute)
	}
	require.False(t, in(used), "however much it is used")
	require.False(t, in(unused))
}

func TestTheCookieIsForTheConsoleAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.visitor()
	form := url.Values{"form": {p.token("/console/login")}, "name": {"Anna"}, "key": {operatorKey}, "to": {"/console/audit?who=x"}}
	a := p.do(http.MethodPost, "/console/login", form, "X-Forwarded-Proto", "https")
	require.Equal(t, "/console/audit?who=x", a.header.Get("Location"))
	for _, cookie := range a.header.Values("Set-Cookie") {
		require.Contains(t, cookie, "Path=/console/")
		require.Contains(t, cookie, "HttpOnly")
		require.Contains(t, cookie, "Secure")
		require.Contains(t, cookie, "SameSite=Strict")
		name, value, _ := strings.Cut(strings.Split(cookie, ";")[0], "=")
		if name == "sluice_console" {
			require.Zero(t, h.count("SELECT count(*) FROM console_sessions WHERE token_hash = $1 OR encode(token_hash, 'escape') LIKE '%' || $2 || '%' OR name LIKE '%' || $2 || '%'", []byte(value), value), "the database does not know the token")
		}
	}
	for _, to := range []string{"https://evil.example/", "//evil.example", "//evil.example/../console/", "/console/../../evil", "/\\evil.example", "/console/login"} {
		p := h.visitor()
		form := url.Values{"form": {p.token("/console/login")}, "name": {"Anna"}, "key": {operatorKey}, "to": {to}}
		require.Regexp(t, `^/console/`, p.do(http.MethodPost, "/console/login", form).header.Get("Location"), to)
	}
}

func TestLoginsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.visitor()
	for range console.LoginBurst {
		require.Equal(t, http.StatusUnauthorized, p.logIn("Eve", "a guess").status)
	}
	a := p.logIn("Eve", operatorKey)
	require.Equal(t, http.StatusTooManyRequests, a.status, "even with the right key: it could be the next guess")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	h.advance(time.Minute)
	require.Equal(t, http.StatusSeeOther, p.logIn("Anna", operatorKey).status)
}
