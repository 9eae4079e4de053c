package config

import (
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sluice-gems/sluice/economy"
)

// sessionSecretMin is the shortest session secret in bytes. RFC 7518, 3.2, asks
// for 32 with HS256. Half of it, 128 bits, still cannot be guessed, and games
// come with tokens that are signed already; below that it is a password.
const sessionSecretMin = 16

// drainGraceMax is longer than load balancers take to notice; more is a typing
// mistake that would make every stop an hour.
const drainGraceMax = 5 * time.Minute

// addresses checks where we listen and what we connect to.
func (k *checker) addresses() {
	k.listen("SLUICE_HTTP_ADDR", k.config.HTTP.Addr)
	if addr := k.config.Metrics.Addr; addr != "" {
		k.listen("SLUICE_METRICS_ADDR", addr)
	}
	k.urls("SLUICE_DATABASE_URL", k.config.Database.URL, "postgres", "postgresql")
	k.urls("SLUICE_NATS_URL", k.config.NATS.URL, "nats", "tls", "ws", "wss")
	k.urls("SLUICE_REVENUECAT_URL", k.config.RevenueCat.URL, "https", "http")
	k.urls("SLUICE_SESSION_JWKS_URL", k.config.Session.JWKSURL, "https", "http")
}

// listen checks an address that we listen on.
func (k *checker) listen(name, addr string) {
	host, port, err := net.SplitHostPort(addr)
	_, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || strings.ContainsFunc(host, unicode.IsSpace) {
		example := variable(name).Example
		k.add(name, "%q is not an address: write host:port such as %s, or %s for every interface",
			addr, example, example[strings.LastIndex(example, ":"):])
	}
}

// urls checks the scheme and host of an address, of each in a list. The parser's
// own words are kept back: they can repeat a part of the password.
func (k *checker) urls(name string, u URL, schemes ...string) {
	if !u.IsSet() || slices.Contains(k.config.unread, name) {
		return
	}
	parts := u.parts()
	if name != "SLUICE_NATS_URL" && len(parts) > 1 {
		k.add(name, "holds several addresses: write one such as %s", variable(name).Example)
		return
	}
	for _, part := range parts {
		parsed, err := url.Parse(part)
		switch {
		case err != nil:
			k.add(name, "is not a URL: write one such as %s, with special characters of the password percent-encoded", variable(name).Example)
		case !slices.Contains(schemes, parsed.Scheme):
			k.add(name, "must begin with %s://: write one such as %s", strings.Join(schemes, ":// or "), variable(name).Example)
		case parsed.Hostname() == "" && schemes[0] != "postgres": // PostgreSQL may name a socket's folder as ?host=
			k.add(name, "names no host: write one such as %s", variable(name).Example)
		}
	}
}

// provider checks what goes into RevenueCat's paths and headers.
func (k *checker) provider() {
	if id := k.config.RevenueCat.ProjectID; url.PathEscape(id) != id {
		k.add("SLUICE_REVENUECAT_PROJECT_ID", "%q has characters that no project id has: copy it from the project's settings", id)
	}
	k.headerValue("SLUICE_REVENUECAT_SECRET_KEY", k.config.RevenueCat.SecretKey)
	if !keepsInHeader(k.config.Webhook.Authorization.Reveal()) {
		k.add("SLUICE_WEBHOOK_AUTHORIZATION", "begins or ends with a space, or holds a control character, which a header loses: write the value without")
	}
}

// secrets checks lengths and that every key can arrive in a header, once.
func (k *checker) secrets() {
	if n := len(k.config.Session.Secret.Reveal()); n > 0 && n < sessionSecretMin {
		k.add("SLUICE_SESSION_SECRET", "has %d bytes, and HS256 needs %d or more: write %s",
			n, sessionSecretMin, variable("SLUICE_SESSION_SECRET").Example)
	}
	k.keys("SLUICE_WEBHOOK_SIGNING_SECRETS", k.config.Webhook.SigningSecrets)
	k.keys("SLUICE_SERVER_KEYS", k.config.Keys.Server)
	admin := make([]Secret, len(k.config.Keys.Admin))
	for i, key := range k.config.Keys.Admin {
		admin[i] = key.Key
	}
	k.keys("SLUICE_ADMIN_KEYS", admin)
}

// keys checks a list of secrets. Entries are named by their place, from 1.
func (k *checker) keys(name string, list []Secret) {
	first := make(map[string]int)
	for i, secret := range list {
		if !secret.IsSet() {
			k.add(name, "entry %d is empty: write %s", i+1, variable(name).Example)
			continue
		}
		if at, twice := first[secret.Reveal()]; twice {
			k.add(name, "entry %d is the same key as entry %d: keep one", i+1, at)
			continue
		}
		first[secret.Reveal()] = i + 1
		k.headerValue(name, secret)
	}
}

// headerValue reports a key that no HTTP header can carry as a token.
func (k *checker) headerValue(name string, secret Secret) {
	if !visibleASCII(secret.Reveal()) {
		k.add(name, "holds a space, a line break or a character beyond ASCII: write visible ASCII characters only, such as %s", variable(name).Example)
	}
}

// keepsInHeader reports whether a header brings a whole value as it is.
func keepsInHeader(s string) bool {
	return strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// webhooks checks what is taken of webhooks, and for how long.
func (k *checker) webhooks() {
	w := k.config.Webhook
	if e := w.Environment; e != WebhooksProduction && e != WebhooksSandbox && e != WebhooksBoth {
		k.add("SLUICE_WEBHOOK_ENVIRONMENT", "%q is not an environment: write production, sandbox or both", string(e))
	}
	if w.BodyDays < 0 || w.BodyDays > daysMax {
		k.add("SLUICE_WEBHOOK_BODY_DAYS", "%d is not from 0 to %d: write days such as 30, or 0 for never", w.BodyDays, daysMax)
	}
	if w.VersionDays < 0 || w.VersionDays > daysMax {
		k.add("SLUICE_PURCHASE_VERSION_DAYS", "%d is not from 0 to %d: write days such as 1100, or 0 for never", w.VersionDays, daysMax)
	}
	if w.Silence < 0 {
		k.add("SLUICE_WEBHOOK_SILENCE", "%s is below 0: write one such as 6h, or 0 for no alarm", showDuration(w.Silence))
	}
	switch {
	case w.RowDays < 0 || w.RowDays > daysMax:
		k.add("SLUICE_WEBHOOK_ROW_DAYS", "%d is not from 0 to %d: write days such as 400, or 0 for never", w.RowDays, daysMax)
	case w.RowDays > 0 && w.RowDays < w.BodyDays:
		k.add("SLUICE_WEBHOOK_ROW_DAYS", "%d is less than the %d days of bodies, which go with their rows: write as many or more", w.RowDays, w.BodyDays)
	}
}

// daysMax is a hundred years: more is a typing mistake, and overflows durations.
const daysMax = 36_500

func visibleASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// numbers checks ranges and closed sets.
func (k *checker) numbers() {
	if d := k.config.Webhook.Tolerance; d <= 0 {
		k.add("SLUICE_WEBHOOK_TOLERANCE", "%s is not more than 0: write one such as 300s", showDuration(d))
	}
	if d := k.config.HTTP.DrainGrace; d < 0 || d > drainGraceMax {
		k.add("SLUICE_HTTP_DRAIN_GRACE", "%s is not from 0s to %s: write one such as 3s", showDuration(d), showDuration(drainGraceMax))
	}
	if d := k.config.Claims.Wait; d <= 0 {
		k.add("SLUICE_CLAIM_WAIT", "%s is not more than 0: write one such as 30s", showDuration(d))
	}
	if d := k.config.Claims.Patience; d < k.config.Claims.Wait {
		k.add("SLUICE_CLAIM_PATIENCE", "%s is less than SLUICE_CLAIM_WAIT, %s: write one such as 1h", showDuration(d), showDuration(k.config.Claims.Wait))
	}
	if rate := k.config.PlayerRate; !(rate >= 0) || math.IsInf(rate, 0) {
		k.add("SLUICE_PLAYER_RATE", "%v is not a rate: write requests a second such as 20, or 0 for no limit", rate)
	}
	if n := k.config.PlayerOpenMax; n < 0 {
		k.add("SLUICE_PLAYER_OPEN_MAX", "%d is below 0: write one such as 100, or 0 for no limit", n)
	}
	if n := k.config.GrantMax; n < 0 || n > int(economy.BalanceMax) {
		k.add("SLUICE_GRANT_MAX", "%d is not from 0 to %d, the most that a balance holds: write one such as 10000", n, economy.BalanceMax)
	}
	if address := k.config.TraceURL; address != "" && (!strings.Contains(address, TraceID) || !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://")) {
		k.add("SLUICE_TRACE_URL", "%q is no address with %s in it: write one such as %s", address, TraceID, variable("SLUICE_TRACE_URL").Example)
	}
	if n := k.config.NATS.Replicas; n != 1 && n != 3 && n != 5 {
		k.add("SLUICE_NATS_REPLICAS", "%d copies have no use: write 1 for a single server, or 3 or 5 for a cluster", n)
	}
	if format := k.config.Log.Format; format != LogAuto && format != LogJSON && format != LogText {
		k.add("SLUICE_LOG_FORMAT", "%q is not a format: write json or text", string(format))
	}
	if n := k.config.Work.Concurrency; n < 0 {
		k.add("SLUICE_WORK_CONCURRENCY", "%d is below 0: write one such as 16, or 0 for each consumer's own choice", n)
	}
}
