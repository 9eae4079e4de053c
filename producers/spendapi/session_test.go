package spendapi

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func newVerifier(t *testing.T, c *clock, change ...func(*SessionConfig)) *SessionVerifier {
	t.Helper()
	config := SessionConfig{Secret: []byte(secret), Now: c.now}
	for _, f := range change {
		f(&config)
	}
	v, err := NewSessionVerifier(config)
	require.NoError(t, err)
	return v
}

func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return signed
}

func TestOnlyOurOwnTokensAreSessions(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, newClock())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	in := func(d time.Duration) int64 { return start.Add(d).Unix() }
	hs, key := jwt.SigningMethodHS256, []byte(secret)
	ok := jwt.MapClaims{"sub": player, "exp": in(time.Hour)}
	signed := sign(t, hs, key, ok)
	parts := strings.Split(signed, ".")
	for _, c := range []struct {
		name  string
		token string
		want  error
	}{
		{"good", signed, nil},
		{"expired within the leeway", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": in(-29 * time.Second)}), nil},
		{"expired", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": in(-31 * time.Second)}), ErrSessionExpired},
		{"no exp", sign(t, hs, key, jwt.MapClaims{"sub": player}), ErrSessionInvalid},
		{"exp is no number", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": "later"}), ErrSessionInvalid},
		{"not yet, within the leeway", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": in(time.Hour), "nbf": in(29 * time.Second), "iat": in(29 * time.Second)}), nil},
		{"not yet", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": in(time.Hour), "nbf": in(32 * time.Second)}), ErrSessionNotYet},
		{"issued in the future", sign(t, hs, key, jwt.MapClaims{"sub": player, "exp": in(time.Hour), "iat": in(32 * time.Second)}), ErrSessionNotYet},
		{"another secret", sign(t, hs, []byte("another"), ok), ErrSessionInvalid},
		{"HS512", sign(t, jwt.SigningMethodHS512, key, ok), ErrSessionInvalid},
		{"none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ok), ErrSessionInvalid},
		{"RS256", sign(t, jwt.SigningMethodRS256, rsaKey, ok), ErrSessionInvalid},
		{"no signature", parts[0] + "." + parts[1] + ".", ErrSessionInvalid},
		{"another payload", parts[0] + "." + strings.Split(sign(t, hs, key, jwt.MapClaims{"sub": "x", "exp": in(time.Hour)}), ".")[1] + "." + parts[2], ErrSessionInvalid},
		{"nonsense", "a.b.c", ErrSessionInvalid},
		{"empty", "", ErrSessionInvalid},
		{"no sub", sign(t, hs, key, jwt.MapClaims{"exp": in(time.Hour)}), ErrSessionPlayer},
		{"sub is a number", sign(t, hs, key, jwt.MapClaims{"sub": 7, "exp": in(time.Hour)}), ErrSessionInvalid},
		{"sub with NUL", sign(t, hs, key, jwt.MapClaims{"sub": "a\x00", "exp": in(time.Hour)}), ErrSessionPlayer},
		{"sub of 1500", sign(t, hs, key, jwt.MapClaims{"sub": strings.Repeat("x", 1500), "exp": in(time.Hour)}), nil},
		{"sub of 1501", sign(t, hs, key, jwt.MapClaims{"sub": strings.Repeat("x", 1501), "exp": in(time.Hour)}), ErrSessionPlayer},
		{"sub not UTF-8", sign(t, hs, key, jwt.MapClaims{"sub": "a\xff", "exp": in(time.Hour)}), ErrSessionPlayer},
	} {
		for range 2 { // the second from the cache, if at all
			id, err := v.Verify(c.token)
			require.ErrorIs(t, err, c.want, c.name)
			require.Equal(t, err == nil, id != "", c.name)
		}
	}
}

func TestAudienceAndIssuerAreCheckedWhenConfigured(t *testing.T) {
	t.Parallel()
	c := newClock()
	for _, verifier := range []struct{ audience, issuer string }{{}, {"game", ""}, {"", "us"}, {"game", "us"}} {
		v := newVerifier(t, c, func(c *SessionConfig) { c.Audience, c.Issuer = verifier.audience, verifier.issuer })
		for _, token := range []struct{ audience, issuer string }{{}, {"game", "us"}, {"other", "us"}, {"game", "them"}} {
			signed, err := SignSession([]byte(secret), player, time.Hour, start, token.audience, token.issuer)
			require.NoError(t, err)
			_, err = v.Verify(signed)
			good := (verifier.audience == "" || verifier.audience == token.audience) && (verifier.issuer == "" || verifier.issuer == token.issuer)
			require.Equal(t, good, err == nil, "%+v %+v", verifier, token)
		}
	}
}

func TestARememberedTokenExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	v := newVerifier(t, c)
	signed := token(t, player)
	_, err := v.Verify(signed)
	require.NoError(t, err)
	require.Equal(t, 1, v.cache.len())
	c.add(time.Hour + 29*time.Second)
	_, err = v.Verify(signed)
	require.NoError(t, err)
	c.add(2 * time.Second)
	_, err = v.Verify(signed)
	require.ErrorIs(t, err, ErrSessionExpired)
	require.Zero(t, v.cache.len())
}

func TestTheCacheOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	cache := newSessionCache(100)
	often := [32]byte{31: 1}
	cache.put(often, session{"often", start.Add(time.Hour)})
	for i := range 10_000 {
		cache.put([32]byte{byte(i), byte(i >> 8)}, session{fmt.Sprint(i), start.Add(time.Hour)})
		require.LessOrEqual(t, cache.len(), 100)
		if i%40 == 0 { // used now and then, so it stays
			id, ok := cache.get(often, start)
			require.True(t, ok)
			require.Equal(t, "often", id)
		}
	}
	_, ok := cache.get([32]byte{}, start)
	require.False(t, ok)
}

func TestSignSessionRefusesWhatVerifyWould(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct {
		secret, player string
		ttl            time.Duration
	}{{"", player, time.Hour}, {secret, "", time.Hour}, {secret, "a\n", time.Hour}, {secret, player, 0}, {secret, player, -time.Hour}} {
		_, err := SignSession([]byte(bad.secret), bad.player, bad.ttl, start, "", "")
		require.Error(t, err)
	}
	_, err := NewSessionVerifier(SessionConfig{})
	require.Error(t, err)
}
