package spendapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// sessionLeeway is how far the clock of the game's server may be off (design.md,
	// section 8).
	sessionLeeway = 30 * time.Second
	// sessionCacheDefault is how many verified tokens are remembered, about 200 bytes
	// each: verifying one took 13 us and 47 allocations, finding it again 0.5 us.
	sessionCacheDefault = 65_536
	// appUserIDMax bounds a player's id, in bytes. RevenueCat allows 1500 characters;
	// an index row of PostgreSQL holds 2704 bytes, and the id shares one with the
	// idempotency key of up to 1020 bytes.
	appUserIDMax = 1500
)

// The reasons a session is refused. Their text goes to the client; they name no
// token, player or secret.
var (
	// ErrSessionExpired: the token was good once. A new one helps.
	ErrSessionExpired = errors.New("the session token has expired")
	// ErrSessionNotYet: nbf or iat lies in the future by more than 30 s.
	ErrSessionNotYet = errors.New("the session token is not valid yet")
	// ErrSessionInvalid: no token of ours: form, signature, algorithm, audience or issuer.
	ErrSessionInvalid = errors.New("the session token is not valid")
	// ErrSessionUnavailable: the keys it may be signed with cannot be fetched now.
	ErrSessionUnavailable = errors.New("the session token cannot be verified now")
	// ErrSessionPlayer: `sub` is missing or cannot be a player's id.
	ErrSessionPlayer = errors.New("the session token's sub is not a player id")
)

// SessionConfig says which tokens are sessions. It needs a secret, a key set, or
// both: then a token signed either way will do.
type SessionConfig struct {
	Secret   []byte           // HS256 key, shared with the game's server; empty: HS256 is refused
	JWKSURL  string           // where the public keys of RS256, ES256 and EdDSA are; empty: these are refused
	Audience string           // required in `aud`; empty: not checked
	Issuer   string           // required `iss`; empty: not checked
	Now      func() time.Time // nil: time.Now
	CacheMax int              // verified tokens remembered; 0: 65,536
	Log      *slog.Logger     // hears when the keys cannot be fetched; nil: nobody does
}

// SessionVerifier verifies session tokens: JWT, HS256 with the secret or RS256,
// ES256 and EdDSA with a key of the key set, and no other algorithm; `exp`
// required, `nbf` and `iat` respected, 30 s of leeway. It is safe for concurrent use.
type SessionVerifier struct {
	secret []byte
	keys   *keySet // nil: none
	parser *jwt.Parser
	claims *jwt.Validator
	now    func() time.Time
	cache  *sessionCache
}

// NewSessionVerifier returns a verifier. It fails without a secret or a key set: an
// empty key would let everybody sign. It fetches nothing yet.
func NewSessionVerifier(c SessionConfig) (*SessionVerifier, error) {
	if len(c.Secret) == 0 && c.JWKSURL == "" {
		return nil, errors.New("session secret and key set are both missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(sessionLeeway), jwt.WithTimeFunc(c.Now),
	}
	if c.Audience != "" {
		options = append(options, jwt.WithAudience(c.Audience))
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	v := &SessionVerifier{
		secret: c.Secret, parser: jwt.NewParser(options...), claims: jwt.NewValidator(options...), now: c.Now,
		cache: newSessionCache(cmp.Or(c.CacheMax, sessionCacheDefault)),
	}
	if c.JWKSURL != "" {
		v.keys = newKeySet(c.JWKSURL, c.Now, c.Log)
	}
	return v, nil
}

// Verify returns the player whose session the token is: its `sub`, the App User
// ID. Errors: ErrSessionExpired, ErrSessionNotYet, ErrSessionInvalid,
// ErrSessionPlayer, ErrSessionUnavailable. A token verified once is not computed
// again until it expires, or for jwksKeysMax if a key of the key set signed it.
func (v *SessionVerifier) Verify(token string) (appUserID string, err error) {
	digest := sha256.Sum256([]byte(token))
	if appUserID, ok := v.cache.get(digest, v.now()); ok {
		return appUserID, nil
	}
	claims, until, err := v.verified(token)
	switch {
	case errors.Is(err, ErrSessionUnavailable):
		return "", ErrSessionUnavailable
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", ErrSessionExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "", ErrSessionNotYet
	case err != nil:
		return "", ErrSessionInvalid // the library's text is not for clients
	case !validAppUserID(claims.Subject):
		return "", ErrSessionPlayer
	}
	v.cache.put(digest, session{claims.Subject, until})
	return claims.Subject, nil
}

// verified returns the claims of a token whose signature and claims are good, and
// until when that is sure. The token's own word for its algorithm decides only
// which keys are tried: a secret is never tried as a public key nor the reverse.
func (v *SessionVerifier) verified(token string) (claims jwt.RegisteredClaims, until time.Time, err error) {
	switch alg := algorithm(token); {
	case alg == jwt.SigningMethodHS256.Alg() && len(v.secret) > 0:
		_, err = v.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return v.secret, nil })
	case v.keys != nil && slices.Contains(jwksAlgorithms, alg):
		if claims, err = v.keys.verify(token); err == nil {
			err = v.claims.Validate(claims)
		}
		until = v.now().Add(jwksKeysMax)
	default:
		err = ErrSessionInvalid
	}
	if err != nil {
		return claims, time.Time{}, err
	}
	if expires := claims.ExpiresAt.Add(sessionLeeway); until.IsZero() || expires.Before(until) {
		until = expires
	}
	return claims, until, nil
}

// algorithm returns what a token says it is signed with, "" for what is no token.
func algorithm(token string) string {
	header, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return ""
	}
	var fields struct {
		Algorithm string `json:"alg"`
	}
	if json.Unmarshal(raw, &fields) != nil {
		return ""
	}
	return fields.Algorithm
}

// validAppUserID reports whether id can be a player's: 1 to 1500 bytes without
// control characters. A replacement character stands for bytes that JSON could
// not carry, so two players could share it.
func validAppUserID(id string) bool {
	return id != "" && len(id) <= appUserIDMax && utf8.ValidString(id) && !strings.ContainsRune(id, utf8.RuneError) &&
		strings.IndexFunc(id, unicode.IsControl) < 0
}

// anonymous reports whether the id is one that RevenueCat made for an app that
// named no player. It is lost with the installation, and gems spent by it too.
func anonymous(appUserID string) bool { return strings.HasPrefix(appUserID, "$RCAnonymousID:") }

// SignSession makes a session token for a player, valid from now for ttl, of at
// least a second. audience and issuer are left out when empty. It fails for a
// player that Verify would refuse.
func SignSession(secret []byte, player string, ttl time.Duration, now time.Time, audience, issuer string) (string, error) {
	switch {
	case len(secret) == 0:
		return "", errors.New("sign session: the secret is empty")
	case !validAppUserID(player):
		return "", errors.New("sign session: a player id has 1 to 1500 bytes of UTF-8 and no control characters")
	case ttl < time.Second:
		return "", errors.New("sign session: the token must be valid for a second or more")
	}
	claims := jwt.RegisteredClaims{
		Subject: player, Issuer: issuer,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}
	if audience != "" {
		claims.Audience = jwt.ClaimStrings{audience}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
}
