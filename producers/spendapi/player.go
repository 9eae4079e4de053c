package spendapi

import (
	"errors"
	"net/http"
	"strings"
)

// player returns whose request this is: the session's player, within the rate one
// player may send. Problems: 401, 429.
func (a *API) player(x *exchange, r *http.Request) (string, *problem) {
	player, p := a.session(x, r)
	if p != nil {
		return "", p
	}
	return player, a.limit(player)
}

// session returns the player of the bearer token.
func (a *API) session(x *exchange, r *http.Request) (string, *problem) {
	token, ok := bearer(r.Header["Authorization"])
	if !ok {
		x.Header().Set("WWW-Authenticate", "Bearer")
		return "", problemf(Unauthenticated, "Send the player's session token in one header: Authorization: Bearer TOKEN.")
	}
	player, err := a.sessions.Verify(token)
	if err == nil {
		return player, nil
	}
	if errors.Is(err, ErrSessionUnavailable) {
		p := problemf(SessionsUnavailable, "The keys that sign session tokens cannot be fetched. Send the same request again.")
		p.retryAfter = retryUnavailable
		return "", p
	}
	x.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`) // RFC 6750, section 3
	if a.readers.holds(token) {
		return "", problemf(Unauthenticated, "This call wants the player's session token, not a server's or an operator's key.")
	}
	return "", problemf(Unauthenticated, "Get a new session token from the game's server: %v.", err)
}

// server refuses a request that carries no server key.
func (a *API) server(x *exchange, r *http.Request) *problem {
	token, ok := bearer(r.Header["Authorization"])
	switch {
	case !ok:
		x.Header().Set("WWW-Authenticate", "Bearer")
	case a.servers.holds(token):
		return nil
	default:
		x.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	return problemf(ServerKeyNeeded, "Send a live server key in one header: Authorization: Bearer KEY. A player's session does not do.")
}

// bearer returns the token of an Authorization header. The scheme has no case
// (RFC 9110, section 11.1).
func bearer(values []string) (token string, ok bool) {
	const scheme = "Bearer "
	if len(values) != 1 || len(values[0]) <= len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return "", false
	}
	token = strings.Trim(values[0][len(scheme):], " ")
	return token, token != ""
}

// limit uses up one of the requests a player may send.
func (a *API) limit(player string) *problem {
	wait := a.limiter.take(player, a.now())
	if wait == 0 {
		return nil
	}
	p := problemf(TooManyRequests, "Wait %s seconds before the next request.", seconds(wait))
	p.retryAfter = wait
	return p
}
