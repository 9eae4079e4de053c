package spendapi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// issuer is a login service with a key set behind HTTP.
type issuer struct {
	server *httptest.Server
	mu     sync.Mutex
	keys   []jose.JSONWebKey
	down   bool
	asked  int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	if i.down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
}

// publish makes the public halves the key set.
func (i *issuer) publish(keys ...signingKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, key := range keys {
		i.keys = append(i.keys, jose.JSONWebKey{Key: key.private.Public(), KeyID: key.id, Use: "sig"})
	}
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

type signingKey struct {
	id      string
	method  jwt.SigningMethod
	private crypto.Signer
}

func newRSA(t *testing.T, id string) signingKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return signingKey{id, jwt.SigningMethodRS256, key}
}

func newES(t *testing.T, id string) signingKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return signingKey{id, jwt.SigningMethodES256, key}
}

func newEd(t *testing.T, id string) signingKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return signingKey{id, jwt.SigningMethodEdDSA, key}
}

// token signs claims; what is not said is that of a good token.
func (k signingKey) token(t *testing.T, claims ...jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"sub": player, "exp": start.Add(time.Hour).Unix()}
	for _, more := range claims {
		for name, value := range more {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	token := jwt.NewWithClaims(k.method, all)
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.private)
	require.NoError(t, err)
	return signed
}

// verifier returns a verifier that knows the issuer's key set only.
func (i *issuer) verifier(t *testing.T, c *clock, change ...func(*SessionConfig)) *SessionVerifier {
	t.Helper()
	return newVerifier(t, c, append([]func(*SessionConfig){func(c *SessionConfig) {
		c.Secret, c.JWKSURL = nil, i.server.URL+"/jwks?key=canary"
	}}, change...)...)
}

func TestTokensOfTheKeySetAreSessions(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	keys := []signingKey{newRSA(t, "rsa"), newES(t, "es"), newEd(t, "ed")}
	i.publish(keys...)
	v := i.verifier(t, c)
	for _, key := range keys {
		for range 2 {
			id, err := v.Verify(key.token(t))
			require.NoError(t, err, key.id)
			require.Equal(t, player, id)
		}
	}
	require.Equal(t, 1, i.requests(), "one fetch serves all")
	nameless := keys[1]
	nameless.id = ""
	_, err := v.Verify(nameless.token(t))
	require.NoError(t, err, "a token need not name its key")
}

func TestWhatTheKeySetDoesNotProveIsRefused(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	key := newES(t, "es")
	rsaKey := newRSA(t, "rsa")
	i.publish(key, rsaKey)
	v := i.verifier(t, c, func(c *SessionConfig) { c.Audience, c.Issuer = "game", "us" })
	good := jwt.MapClaims{"aud": "game", "iss": "us"}
	in := func(d time.Duration) int64 { return start.Add(d).Unix() }
	with := func(name string, value any) string { return key.token(t, good, jwt.MapClaims{name: value}) }
	public, err := json.Marshal(jose.JSONWebKey{Key: key.private.Public(), KeyID: "es"})
	require.NoError(t, err)
	stranger := newES(t, "es")
	ps := signingKey{"rsa", jwt.SigningMethodPS256, rsaKey.private}
	rs512 := signingKey{"rsa", jwt.SigningMethodRS512, rsaKey.private}
	parts := strings.Split(with("sub", player), ".")
	claims := jwt.MapClaims{"sub": player, "exp": in(time.Hour), "aud": "game", "iss": "us"}
	for _, it := range []struct {
		name, token string
		want        error
	}{
		{"good", with("sub", player), nil},
		{"several audiences", with("aud", []string{"other", "game"}), nil},
		{"wrong audience", with("aud", "other"), ErrSessionInvalid},
		{"no audience", with("aud", nil), ErrSessionInvalid},
		{"wrong issuer", with("iss", "them"), ErrSessionInvalid},
		{"no issuer", with("iss", nil), ErrSessionInvalid},
		{"expired within the leeway", with("exp", in(-29*time.Second)), nil},
		{"expired", with("exp", in(-31*time.Second)), ErrSessionExpired},
		{"no exp", with("exp", nil), ErrSessionInvalid},
		{"not yet", with("nbf", in(32*time.Second)), ErrSessionNotYet},
		{"issued in the future", with("iat", in(32*time.Second)), ErrSessionNotYet},
		{"no sub", with("sub", nil), ErrSessionPlayer},
		{"sub with NUL", with("sub", "a\x00"), ErrSessionPlayer},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims), ErrSessionInvalid},
		{"HS256 with the public key as its secret", sign(t, jwt.SigningMethodHS256, public, claims), ErrSessionInvalid},
		{"HS256 with our own secret, which is not set", sign(t, jwt.SigningMethodHS256, []byte(secret), claims), ErrSessionInvalid},
		{"PS256", ps.token(t, good), ErrSessionInvalid},
		{"RS512", rs512.token(t, good), ErrSessionInvalid},
		{"a stranger's key of the same name", stranger.token(t, good), ErrSessionInvalid},
		{"no signature", parts[0] + "." + parts[1] + ".", ErrSessionInvalid},
		{"a short signature", parts[0] + "." + parts[1] + ".AAAA", ErrSessionInvalid},
		{"another payload", parts[0] + "." + strings.Split(with("sub", "x"), ".")[1] + "." + parts[2], ErrSessionInvalid},
		{"nonsense", "a.b.c", ErrSessionInvalid},
		{"empty", "", ErrSessionInvalid},
	} {
		for range 2 {
			id, err := v.Verify(it.token)
			require.ErrorIs(t, err, it.want, it.name)
			require.Equal(t, it.want == nil, id != "", it.name)
		}
	}
}

func TestSecretAndKeySetMayBothBeSet(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	key := newEd(t, "ed")
	i.publish(key)
	v := i.verifier(t, c, func(c *SessionConfig) { c.Secret = []byte(secret) })
	for _, good := range []string{key.token(t), token(t, player)} {
		_, err := v.Verify(good)
		require.NoError(t, err)
	}
	i.setDown(true)
	c.add(2 * jwksKeysMax)
	fresh, err := SignSession([]byte(secret), player, time.Hour, c.now(), "", "")
	require.NoError(t, err)
	_, err = v.Verify(fresh)
	require.NoError(t, err, "HS256 needs no key set")
}

func TestANewKeyIsFetchedWhenATokenNamesIt(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	old, next := newES(t, "2026-01"), newES(t, "2026-02")
	i.publish(old)
	v := i.verifier(t, c)
	_, err := v.Verify(old.token(t))
	require.NoError(t, err)
	i.publish(old, next)
	c.add(jwksEvery)
	_, err = v.Verify(next.token(t))
	require.NoError(t, err)
	require.Equal(t, 2, i.requests())
}

func TestAWithdrawnKeyOpensNoDoor(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	old, next := newES(t, "old"), newES(t, "next")
	i.publish(old)
	v := i.verifier(t, c)
	long := jwt.MapClaims{"exp": start.Add(24 * time.Hour).Unix()}
	_, err := v.Verify(old.token(t, long))
	require.NoError(t, err)
	remembered := old.token(t, long, jwt.MapClaims{"jti": "remembered"})
	_, err = v.Verify(remembered)
	require.NoError(t, err)
	i.publish(next)
	c.add(jwksKeysMax)
	for _, it := range []string{remembered, old.token(t, long)} {
		_, err = v.Verify(it)
		require.ErrorIs(t, err, ErrSessionInvalid)
	}
	_, err = v.Verify(next.token(t, long))
	require.NoError(t, err)
}

func TestKeysSurviveAnOutageOfTheirHost(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	key, next := newRSA(t, "rsa"), newRSA(t, "next")
	i.publish(key)
	v := i.verifier(t, c)
	long := jwt.MapClaims{"exp": start.Add(48 * time.Hour).Unix()}
	_, err := v.Verify(key.token(t, long))
	require.NoError(t, err)
	i.setDown(true)
	for hour := range 24 {
		c.add(time.Hour)
		_, err = v.Verify(key.token(t, long, jwt.MapClaims{"jti": fmt.Sprint(hour)}))
		require.NoError(t, err, "a day without the host")
	}
	i.publish(key, next)
	_, err = v.Verify(next.token(t, long))
	require.ErrorIs(t, err, ErrSessionUnavailable, "it may be a new key's: nobody can tell")
	i.setDown(false)
	c.add(jwksEvery)
	_, err = v.Verify(next.token(t, long))
	require.NoError(t, err)
}

func TestWithoutAnyKeysNobodyIsToldToLogInAgain(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.setDown(true)
	key := newEd(t, "ed")
	i.publish(key)
	log := &syncBuffer{}
	b := setupOn(t, nil, nil, func(c *Config) {
		c.Books = noBooks{}
		c.Sessions = i.verifier(t, newClock(), func(s *SessionConfig) { s.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	})
	r := get("/wallet").as("-").with("Authorization", "Bearer "+key.token(t))
	w := b.do(t, r)
	requireProblem(t, w, SessionsUnavailable)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("WWW-Authenticate"))
	golden(t, "problem_sessions_unavailable", w.Body.Bytes())
	requireProblem(t, b.do(t, get("/wallet").as("x")), Unauthenticated)
	require.Contains(t, log.String(), "session keys cannot be fetched")
	require.NotContains(t, log.String(), "canary", "the address may hold a secret")
}

func TestAFloodOfUnknownKeysIsOneFetch(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	key := newES(t, "es")
	i.publish(key)
	v := i.verifier(t, c)
	_, err := v.Verify(key.token(t))
	require.NoError(t, err)
	c.add(jwksEvery)
	var group sync.WaitGroup
	stranger := newES(t, "")
	tokens := make([]string, 400)
	for n := range tokens {
		stranger.id = fmt.Sprint("unknown-", n)
		tokens[n] = stranger.token(t)
	}
	for worker := range 8 {
		group.Go(func() {
			for n := worker; n < len(tokens); n += 8 {
				if _, err := v.Verify(tokens[n]); !errors.Is(err, ErrSessionInvalid) {
					t.Errorf("token %d: %v", n, err)
				}
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, i.requests(), 2)
	_, err = v.Verify(key.token(t, jwt.MapClaims{"jti": "another"}))
	require.NoError(t, err, "players of known keys do not notice")
}

func TestTheAnswerOfTheKeyHostIsBounded(t *testing.T) {
	t.Parallel()
	key := newES(t, "es")
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"too much": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2*jwksBodyMax)) },
		"not 200":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		v := newVerifier(t, newClock(), func(c *SessionConfig) { c.Secret, c.JWKSURL = nil, server.URL })
		_, err := v.Verify(key.token(t))
		require.ErrorIs(t, err, ErrSessionUnavailable, name)
	}
}

func TestTheKeyHostMayRedirect(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	key := newES(t, "es")
	i.publish(key)
	moved := httptest.NewServer(http.RedirectHandler(i.server.URL, http.StatusFound))
	t.Cleanup(moved.Close)
	v := newVerifier(t, newClock(), func(c *SessionConfig) { c.Secret, c.JWKSURL = nil, moved.URL })
	_, err := v.Verify(key.token(t))
	require.NoError(t, err)
}
