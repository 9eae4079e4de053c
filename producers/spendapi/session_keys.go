package spendapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// jwksKeysMax is for how long fetched keys are used, and for how long a token that
	// one of them verified is remembered: a key that was withdrawn opens no door after
	// twice this. A key that is new is fetched when the first token names it.
	jwksKeysMax = 15 * time.Minute
	// jwksEvery is how often at most the keys are fetched, whatever tokens come: one
	// with an invented key would otherwise cost its issuer a request each time.
	jwksEvery = 5 * time.Second
	// jwksPatience bounds one fetch. The requests that need it wait for it.
	jwksPatience = 3 * time.Second
	// jwksBodyMax bounds a key set. A key has 0.5 KB, with its certificates 5 KB.
	jwksBodyMax = 1 << 20
)

// jwksAlgorithms are those of public keys: never `none`, never one of a shared
// secret, which anybody who can read the key set could sign with.
var jwksAlgorithms = []string{oidc.RS256, oidc.ES256, oidc.EdDSA}

// keySet verifies signatures with the keys at a URL. Keys once fetched are used for
// as long as that URL does not answer. It is safe for concurrent use.
type keySet struct {
	url   string
	fetch *keyFetch
	ctx   context.Context // holds the client that fetches
	now   func() time.Time

	mu       sync.Mutex
	current  *oidc.IDTokenVerifier
	fetched  time.Time // when current's keys were asked for
	renewing bool      // somebody fetches newer keys; the others go on with current
}

func newKeySet(url string, now func() time.Time, log *slog.Logger) *keySet {
	k := &keySet{url: url, fetch: &keyFetch{client: &http.Client{Timeout: jwksPatience}, now: now, log: log}, now: now}
	k.ctx = oidc.ClientContext(context.Background(), &http.Client{Transport: k.fetch})
	k.current, k.fetched = k.fresh(), now()
	return k
}

// fresh returns a verifier that has no keys yet and fetches them when it is asked.
// It checks the signature only: the claims are checked as those of HS256 are.
func (k *keySet) fresh() *oidc.IDTokenVerifier {
	return oidc.NewVerifier("", oidc.NewRemoteKeySet(k.ctx, k.url), &oidc.Config{
		SupportedSigningAlgs: jwksAlgorithms, SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true,
	})
}

// verify returns the claims of a token that one of the keys signed. The error is
// ErrSessionUnavailable when that cannot be told: keys could not be fetched.
func (k *keySet) verify(token string) (jwt.RegisteredClaims, error) {
	if next := k.due(); next != nil {
		before := k.fetch.succeeded()
		claims, err := claimsOf(k.ctx, next, token)
		if k.renewed(next, k.fetch.succeeded() != before) {
			return claims, err
		}
	}
	k.mu.Lock()
	current, renewing := k.current, k.renewing
	k.mu.Unlock()
	claims, err := claimsOf(k.ctx, current, token)
	if err != nil && (renewing || k.fetch.failing()) {
		return claims, fmt.Errorf("%w: %w", ErrSessionUnavailable, err)
	}
	return claims, err
}

// due returns a verifier that will fetch newer keys, if it is time for that and
// nobody does it.
func (k *keySet) due() *oidc.IDTokenVerifier {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.renewing || k.now().Sub(k.fetched) < jwksKeysMax {
		return nil
	}
	k.renewing = true
	return k.fresh()
}

// renewed replaces the verifier by the next if its keys came.
func (k *keySet) renewed(next *oidc.IDTokenVerifier, came bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renewing = false
	if came {
		k.current, k.fetched = next, k.now()
	}
	return came
}

func claimsOf(ctx context.Context, verifier *oidc.IDTokenVerifier, token string) (claims jwt.RegisteredClaims, err error) {
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return claims, err
	}
	err = verified.Claims(&claims)
	return claims, err
}

// keyFetch fetches the key set for go-oidc, as its transport: that asks whenever a
// signature does not verify.
type keyFetch struct {
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	mu        sync.Mutex
	asked     time.Time // the last fetch; zero: none was
	failed    bool      // it did not bring keys
	successes int
}

var errKeysJustFetched = errors.New("the session keys were fetched a moment ago")

// RoundTrip implements http.RoundTripper: the whole answer to a request for the
// key set, or an error.
func (f *keyFetch) RoundTrip(r *http.Request) (*http.Response, error) {
	if !f.admit() {
		return nil, errKeysJustFetched
	}
	answer, err := f.get(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err != nil
	if err != nil {
		f.log.WarnContext(r.Context(), "session keys cannot be fetched", "error", err)
		return nil, err
	}
	f.successes++
	return answer, nil
}

// admit uses up the fetch of this jwksEvery and reports whether there was one.
func (f *keyFetch) admit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if since := now.Sub(f.asked); !f.asked.IsZero() && since >= 0 && since < jwksEvery {
		return false
	}
	f.asked = now
	return true
}

// get fetches the key set. Its errors do not name the URL, which may hold a secret.
func (f *keyFetch) get(r *http.Request) (*http.Response, error) {
	answer, err := f.client.Do(r.Clone(r.Context()))
	if err != nil {
		return nil, errors.Unwrap(err) // the *url.Error around it has the URL
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, jwksBodyMax+1))
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	case len(body) > jwksBodyMax:
		return nil, fmt.Errorf("more than %d bytes", jwksBodyMax)
	case json.Unmarshal(body, &set) != nil || len(set.Keys) == 0:
		return nil, errors.New("no key set")
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// failing reports whether the last fetch brought no keys.
func (f *keyFetch) failing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// succeeded counts the fetches that brought keys.
func (f *keyFetch) succeeded() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.successes
}
