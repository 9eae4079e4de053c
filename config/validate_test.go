package config_test

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
)

// good is a Config that every role may run with.
func good() config.Config {
	c := config.Default()
	c.Database.URL = config.NewURL("postgres://sluice:pw@db:5432/sluice")
	c.NATS.URL = config.NewURL("nats://a:4222,tls://b:4222")
	c.RevenueCat.SecretKey, c.RevenueCat.ProjectID = config.NewSecret("sk_x"), "proj1"
	c.Webhook.Authorization = config.NewSecret("Bearer x")
	c.Session.Secret = config.NewSecret("0123456789abcdef")
	c.Keys.Server = []config.Secret{config.NewSecret("a"), config.NewSecret("b")}
	c.Keys.Admin = []config.AdminKey{{Role: config.Operator, Key: config.NewSecret("c")}}
	c.Catalog = "catalog.yaml"
	return c
}

var roles = []config.Role{
	config.RoleServe, config.RoleWork, config.RoleRelay, config.RoleNATS, config.RoleMigrate, config.RoleSimulate, config.RoleDev,
}

func TestARoleRefusesToStartWithoutWhatItNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	want := map[config.Role][]string{
		config.RoleServe: {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_SECRET_KEY", "SLUICE_REVENUECAT_PROJECT_ID",
			"SLUICE_WEBHOOK_AUTHORIZATION", "SLUICE_SESSION_SECRET", "SLUICE_CATALOG"},
		config.RoleWork:    {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_SECRET_KEY", "SLUICE_REVENUECAT_PROJECT_ID"},
		config.RoleRelay:   {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL"},
		config.RoleMigrate: {"SLUICE_DATABASE_URL"},
	}
	for _, role := range roles {
		if err := good().Validate(role); err != nil {
			t.Errorf("%s refuses a good configuration: %v", role, err)
		}
		problems := lines(config.Default().Validate(role))
		if len(problems) != len(want[role]) {
			t.Errorf("%s: got %q, want problems of %q", role, problems, want[role])
			continue
		}
		for i, name := range want[role] {
			if !strings.HasPrefix(problems[i], name+" (") || !strings.Contains(problems[i], "sluice "+string(role)+" needs it: write") {
				t.Errorf("%s: got %q, want a problem of %s", role, problems[i], name)
			}
		}
	}
	empty := config.Default()
	empty.DataDir = ""
	if problems := lines(empty.Validate(config.RoleNATS)); len(problems) != 1 {
		t.Errorf("nats without a data folder: %q", problems)
	}
}

func TestAProblemNamesVariableAndKeyAndWhatToWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"address", func(c *config.Config) { c.HTTP.Addr = "8080" },
			`SLUICE_HTTP_ADDR (http.addr): "8080" is not an address: write host:port such as 127.0.0.1:8080, or :8080 for every interface`},
		{"port", func(c *config.Config) { c.HTTP.Addr = "h:65536" },
			`SLUICE_HTTP_ADDR (http.addr): "h:65536" is not an address: write host:port such as 127.0.0.1:8080, or :8080 for every interface`},
		{"metrics address", func(c *config.Config) { c.Metrics.Addr = "9090" },
			`SLUICE_METRICS_ADDR (metrics.addr): "9090" is not an address: write host:port such as 127.0.0.1:9090, or :9090 for every interface`},
		{"database scheme", func(c *config.Config) { c.Database.URL = config.NewURL("mysql://h/d") },
			"SLUICE_DATABASE_URL (database.url): must begin with postgres:// or postgresql://: " +
				"write one such as postgres://sluice:PASSWORD@localhost:5432/sluice?sslmode=require"},
		{"database syntax", func(c *config.Config) { c.Database.URL = config.NewURL("postgres://u:hunter/2@h/d") },
			"SLUICE_DATABASE_URL (database.url): is not a URL: write one such as " +
				"postgres://sluice:PASSWORD@localhost:5432/sluice?sslmode=require, with special characters of the password percent-encoded"},
		{"broker without scheme", func(c *config.Config) { c.NATS.URL = config.NewURL("localhost:4222") },
			"SLUICE_NATS_URL (nats.url): must begin with nats:// or tls:// or ws:// or wss://: write one such as nats://localhost:4222"},
		{"broker without host", func(c *config.Config) { c.NATS.URL = config.NewURL("nats://:4222") },
			"SLUICE_NATS_URL (nats.url): names no host: write one such as nats://localhost:4222"},
		{"provider", func(c *config.Config) { c.RevenueCat.URL = config.NewURL("https://a,https://b") },
			"SLUICE_REVENUECAT_URL (revenuecat.url): holds several addresses: write one such as https://api.revenuecat.com/v2"},
		{"project", func(c *config.Config) { c.RevenueCat.ProjectID = "a/b" },
			`SLUICE_REVENUECAT_PROJECT_ID (revenuecat.project_id): "a/b" has characters that no project id has: copy it from the project's settings`},
		{"provider key", func(c *config.Config) { c.RevenueCat.SecretKey = config.NewSecret("sk x") },
			"SLUICE_REVENUECAT_SECRET_KEY (revenuecat.secret_key): holds a space, a line break or a character beyond ASCII: " +
				"write visible ASCII characters only, such as sk_..."},
		{"webhook authorization", func(c *config.Config) { c.Webhook.Authorization = config.NewSecret("x ") },
			"SLUICE_WEBHOOK_AUTHORIZATION (webhook.authorization): begins or ends with a space, or holds a control character, " +
				"which a header loses: write the value without"},
		{"tolerance", func(c *config.Config) { c.Webhook.Tolerance = 0 },
			"SLUICE_WEBHOOK_TOLERANCE (webhook.tolerance): 0s is not more than 0: write one such as 300s"},
		{"webhooks' environment", func(c *config.Config) { c.Webhook.Environment = "test" },
			`SLUICE_WEBHOOK_ENVIRONMENT (webhook.environment): "test" is not an environment: write production, sandbox or both`},
		{"bodies' age", func(c *config.Config) { c.Webhook.BodyDays = -1 },
			"SLUICE_WEBHOOK_BODY_DAYS (webhook.body_days): -1 is not from 0 to 36500: write days such as 30, or 0 for never"},
		{"rows' age", func(c *config.Config) { c.Webhook.RowDays = 36_501 },
			"SLUICE_WEBHOOK_ROW_DAYS (webhook.row_days): 36501 is not from 0 to 36500: write days such as 400, or 0 for never"},
		{"rows before bodies", func(c *config.Config) { c.Webhook.RowDays = 29 },
			"SLUICE_WEBHOOK_ROW_DAYS (webhook.row_days): 29 is less than the 30 days of bodies, which go with their rows: write as many or more"},
		{"silence", func(c *config.Config) { c.Webhook.Silence = -3600e9 },
			"SLUICE_WEBHOOK_SILENCE (webhook.silence): -3600s is below 0: write one such as 6h, or 0 for no alarm"},
		{"claim's wait", func(c *config.Config) { c.Claims.Wait = 0 },
			"SLUICE_CLAIM_WAIT (claims.wait): 0s is not more than 0: write one such as 30s"},
		{"claim's patience", func(c *config.Config) { c.Claims.Patience = 29e9 },
			"SLUICE_CLAIM_PATIENCE (claims.patience): 29s is less than SLUICE_CLAIM_WAIT, 30s: write one such as 1h"},
		{"short secret", func(c *config.Config) { c.Session.Secret = config.NewSecret("0123456789abcde") },
			"SLUICE_SESSION_SECRET (session.secret): has 15 bytes, and HS256 needs 16 or more: write what this prints: openssl rand -hex 32"},
		{"same key twice", func(c *config.Config) { c.Keys.Server = append(c.Keys.Server, config.NewSecret("a")) },
			"SLUICE_SERVER_KEYS (keys.server): entry 3 is the same key as entry 1: keep one"},
		{"role without a key", func(c *config.Config) { c.Keys.Admin = []config.AdminKey{{Role: config.Viewer}} },
			"SLUICE_ADMIN_KEYS (keys.admin): entry 1 is empty: write support:KEY"},
		{"rate below 0", func(c *config.Config) { c.PlayerRate = -1 },
			"SLUICE_PLAYER_RATE (player_rate): -1 is not a rate: write requests a second such as 20, or 0 for no limit"},
		{"rate not a number", func(c *config.Config) { c.PlayerRate = math.NaN() },
			"SLUICE_PLAYER_RATE (player_rate): NaN is not a rate: write requests a second such as 20, or 0 for no limit"},
		{"grace below 0", func(c *config.Config) { c.HTTP.DrainGrace = -time.Second },
			"SLUICE_HTTP_DRAIN_GRACE (http.drain_grace): -1s is not from 0s to 300s: write one such as 3s"},
		{"grace of an hour", func(c *config.Config) { c.HTTP.DrainGrace = time.Hour },
			"SLUICE_HTTP_DRAIN_GRACE (http.drain_grace): 3600s is not from 0s to 300s: write one such as 3s"},
		{"log format", func(c *config.Config) { c.Log.Format = "xml" },
			`SLUICE_LOG_FORMAT (log.format): "xml" is not a format: write json or text`},
		{"concurrency", func(c *config.Config) { c.Work.Concurrency = -1 },
			"SLUICE_WORK_CONCURRENCY (work.concurrency): -1 is below 0: write one such as 16, or 0 for each consumer's own choice"},
		{"open spends", func(c *config.Config) { c.PlayerOpenMax = -1 },
			"SLUICE_PLAYER_OPEN_MAX (player_open_max): -1 is below 0: write one such as 100, or 0 for no limit"},
		{"two copies", func(c *config.Config) { c.NATS.Replicas = 2 },
			"SLUICE_NATS_REPLICAS (nats.replicas): 2 copies have no use: write 1 for a single server, or 3 or 5 for a cluster"},
		{"grants below 0", func(c *config.Config) { c.GrantMax = -1 },
			"SLUICE_GRANT_MAX (grant_max): -1 is not from 0 to 2000000000, the most that a balance holds: write one such as 10000"},
		{"grants beyond a balance", func(c *config.Config) { c.GrantMax = 2_000_000_001 },
			"SLUICE_GRANT_MAX (grant_max): 2000000001 is not from 0 to 2000000000, the most that a balance holds: write one such as 10000"},
		{"traces without an id", func(c *config.Config) { c.TraceURL = "https://jaeger.example.com/trace/" },
			`SLUICE_TRACE_URL (trace_url): "https://jaeger.example.com/trace/" is no address with {trace} in it: write one such as https://jaeger.example.com/trace/{trace}`},
		{"key set's scheme", func(c *config.Config) { c.Session.JWKSURL = config.NewURL("file:///jwks.json") },
			"SLUICE_SESSION_JWKS_URL (session.jwks_url): must begin with https:// or http://: write one such as https://auth.example.com/jwks.json"},
		{"key set without a host", func(c *config.Config) { c.Session.JWKSURL = config.NewURL("https:///jwks.json") },
			"SLUICE_SESSION_JWKS_URL (session.jwks_url): names no host: write one such as https://auth.example.com/jwks.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := good()
			c.change(&bad)
			err := bad.Validate(config.RoleServe)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestSessionsNeedASecretOrAKeySetOrBoth(t *testing.T) {
	t.Parallel()
	url := config.NewURL("https://auth.example.com/jwks.json")
	for _, session := range []config.Session{{JWKSURL: url}, {Secret: good().Session.Secret}, {JWKSURL: url, Secret: good().Session.Secret}} {
		c := good()
		c.Session = session
		if err := c.Validate(config.RoleServe); err != nil {
			t.Error(err)
		}
	}
	c := good()
	c.Session = config.Session{}
	if problems := lines(c.Validate(config.RoleServe)); len(problems) != 1 || !strings.Contains(problems[0], "SLUICE_SESSION_JWKS_URL") {
		t.Errorf("neither of them: %q", problems)
	}
}

func TestWebhooksNeedAProofOrAreOff(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*config.Webhook){
		func(w *config.Webhook) { w.Authorization = config.NewSecret("Bearer x") },
		func(w *config.Webhook) {
			w.SigningSecrets = []config.Secret{config.NewSecret("a"), config.NewSecret("b")}
		},
		func(w *config.Webhook) { w.Enabled = false },
	} {
		c := good()
		c.Webhook.Authorization = config.Secret{}
		change(&c.Webhook)
		if err := c.Validate(config.RoleServe); err != nil {
			t.Error(err)
		}
	}
	c := good()
	c.Webhook.Authorization = config.Secret{}
	if problems := lines(c.Validate(config.RoleServe)); len(problems) != 1 || !strings.Contains(problems[0], "SLUICE_WEBHOOK_SIGNING_SECRETS") ||
		!strings.Contains(problems[0], "SLUICE_WEBHOOK_ENABLED=false") {
		t.Errorf("neither of them: %q", problems)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	disk := files(map[string]string{"f": "htpp: {}\nplayer_rate: many\nlog: {level: loud}\nwebhook: {tolerance: 5}\n"})
	c, err := config.Load(env("SLUICE_CONFIG", "f", "SLUICE_DATABASE_URL_FILE", "none",
		"SLUICE_NATS_URL", "redis://a", "SLUICE_SESSION_SECRET", "short"), disk)
	loading, rest := lines(err), lines(c.Validate(config.RoleServe))
	if len(loading) != 5 {
		t.Errorf("load reports %d problems, want 5:\n%v", len(loading), err)
	}
	// NATS scheme, short secret, no provider key, no project, no proof of webhooks, no
	// catalogue. The database is set, only unreadable.
	if len(rest) != 6 {
		t.Errorf("validate reports %q, want 6 problems", rest)
	}
	if text := strings.Join(append(loading, rest...), "\n"); strings.Count(text, "SLUICE_DATABASE_URL") != 1 {
		t.Errorf("the database is reported more than once:\n%s", text)
	}
}

func TestProblemsNeverRepeatASecret(t *testing.T) {
	t.Parallel()
	c, err := config.Load(env(
		"SLUICE_DATABASE_URL", "postgres://u:hunter2/x@h/d", "SLUICE_NATS_URL", "hunter2", "SLUICE_SESSION_SECRET", hunter2,
		"SLUICE_SERVER_KEYS", "hunter2 x,hunter2 x", "SLUICE_ADMIN_KEYS", "hunter2:x",
		"SLUICE_REVENUECAT_SECRET_KEY", "hunter2 x", "SLUICE_WEBHOOK_AUTHORIZATION", " hunter2",
	), os.ReadFile)
	text := strings.Join(append(lines(err), lines(c.Validate(config.RoleServe))...), "\n")
	if strings.Contains(text, hunter2) || strings.Count(text, "\n") < 6 {
		t.Errorf("problems:\n%s", text)
	}
}

func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}
