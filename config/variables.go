package config

import "strings"

// Variable is one setting: a row of the table that everything derives from.
type Variable struct {
	Name    string `json:"variable"`          // in the environment; a secret one may end in _FILE instead
	Key     string `json:"key,omitempty"`     // in the YAML file, dotted; empty: only in the environment
	Secret  bool   `json:"secret,omitempty"`  // may be read from a file, is never printed
	List    bool   `json:"list,omitempty"`    // comma separated in the environment, a sequence in YAML
	Default string `json:"default,omitempty"` // as one would write it; empty: unset
	Example string `json:"example"`           // what to write, for messages about a missing or bad value
	Doc     string `json:"doc"`               // meaning, unit and bounds, in one line

	field func(*Config) any     // where it lies: a pointer to one of the types of set
	file  func(*Config) *string // where the path of its file lies, of a secret that is read again
}

// fileVariable names the YAML file. It is read before all others.
const fileVariable = "SLUICE_CONFIG"

// fileSuffix makes a variable, or a YAML key in lower case, name a file that
// holds the value.
const fileSuffix = "_FILE"

// table is every setting, in the order of the example file. The names are fixed:
// tests outside this repository rely on them (design.md, section 8).
var table = []Variable{
	{Name: fileVariable, Example: "/etc/sluice/sluice.yaml",
		Doc:   "YAML file with settings; the environment wins over it",
		field: func(c *Config) any { return &c.File }},
	{Name: "SLUICE_HTTP_ADDR", Key: "http.addr", Example: "127.0.0.1:8080",
		Doc:   "address to listen on, host:port; an empty host is every interface",
		field: func(c *Config) any { return &c.HTTP.Addr }},
	{Name: "SLUICE_HTTP_DRAIN_GRACE", Key: "http.drain_grace", Example: "3s",
		Doc:   "how long sluice serve, told to stop, takes new connections while /readyz answers 503; longer than load balancers take to notice",
		field: func(c *Config) any { return &c.HTTP.DrainGrace }},
	{Name: "SLUICE_METRICS_ADDR", Key: "metrics.addr", Example: "127.0.0.1:9090",
		Doc:   "address where sluice work and sluice relay serve /livez, /readyz and /metrics; unset: nowhere",
		field: func(c *Config) any { return &c.Metrics.Addr }},
	{Name: "SLUICE_DATABASE_URL", Key: "database.url", Secret: true, //nolint:gosec // G101: the example's password is the word PASSWORD
		Example: "postgres://sluice:PASSWORD@localhost:5432/sluice?sslmode=require",
		Doc:     "PostgreSQL, the truth",
		field:   func(c *Config) any { return &c.Database.URL }},
	{Name: "SLUICE_NATS_URL", Key: "nats.url", Secret: true, Example: "nats://localhost:4222",
		Doc:   "NATS server with JetStream; several servers of one cluster with commas, each with its nats://",
		field: func(c *Config) any { return &c.NATS.URL }},
	{Name: "SLUICE_NATS_REPLICAS", Key: "nats.replicas", Example: "3",
		Doc:   "copies of the stream in a cluster: 1, 3 or 5, and no more than it has servers; the same in every process",
		field: func(c *Config) any { return &c.NATS.Replicas }},
	{Name: "SLUICE_REVENUECAT_URL", Key: "revenuecat.url", Example: "https://api.revenuecat.com/v2",
		Doc:   "base of RevenueCat's API v2, with or without a trailing slash",
		field: func(c *Config) any { return &c.RevenueCat.URL }},
	{Name: "SLUICE_REVENUECAT_SECRET_KEY", Key: "revenuecat.secret_key", Secret: true, Example: "sk_...",
		Doc:   "RevenueCat v2 secret key; a file is read again when it changes",
		field: func(c *Config) any { return &c.RevenueCat.SecretKey },
		file:  func(c *Config) *string { return &c.RevenueCat.SecretKeyFile }},
	{Name: "SLUICE_REVENUECAT_PROJECT_ID", Key: "revenuecat.project_id", Example: "proj1ab2c3d4",
		Doc:   "RevenueCat project whose balances are moved",
		field: func(c *Config) any { return &c.RevenueCat.ProjectID }},
	{Name: "SLUICE_REVENUECAT_SOLE_WRITER", Key: "revenuecat.sole_writer", Example: "true",
		Doc:   "true: no purchase and no dashboard moves a balance, so a reading may settle an unknown charge",
		field: func(c *Config) any { return &c.RevenueCat.SoleWriter }},
	{Name: "SLUICE_WEBHOOK_ENABLED", Key: "webhook.enabled", Example: "true",
		Doc:   "false: sluice serve has no endpoint for RevenueCat's webhooks, and needs nothing to prove them by",
		field: func(c *Config) any { return &c.Webhook.Enabled }},
	{Name: "SLUICE_WEBHOOK_AUTHORIZATION", Key: "webhook.authorization", Secret: true,
		Example: "Bearer and 32 random characters",
		Doc:     "exact value of the Authorization header of RevenueCat's webhooks; a file is read again when it changes",
		field:   func(c *Config) any { return &c.Webhook.Authorization },
		file:    func(c *Config) *string { return &c.Webhook.AuthorizationFile }},
	{Name: "SLUICE_WEBHOOK_SIGNING_SECRETS", Key: "webhook.signing_secrets", Secret: true, List: true,
		Example: "the secret of the webhook's page in RevenueCat",
		Doc:     "secrets that may sign webhooks (HMAC); list the old and the new one while rotating; a file is read again when it changes",
		field:   func(c *Config) any { return &c.Webhook.SigningSecrets },
		file:    func(c *Config) *string { return &c.Webhook.SigningSecretsFile }},
	{Name: "SLUICE_WEBHOOK_TOLERANCE", Key: "webhook.tolerance", Example: "300s",
		Doc:   "how far a webhook's timestamp may be from our clock, both ways; more than 0",
		field: func(c *Config) any { return &c.Webhook.Tolerance }},
	{Name: "SLUICE_WEBHOOK_ENVIRONMENT", Key: "webhook.environment", Example: "both",
		Doc:   "whose webhooks are acted on: production, sandbox or both; others are kept and answered 200",
		field: func(c *Config) any { return &c.Webhook.Environment }},
	{Name: "SLUICE_WEBHOOK_REDACT", Key: "webhook.redact", List: true, Example: "$email,$phoneNumber",
		Doc:   "subscriber attributes whose values are not stored with a webhook; * is all of them; unset: bodies are stored as they came",
		field: func(c *Config) any { return &c.Webhook.Redact }},
	{Name: "SLUICE_WEBHOOK_BODY_DAYS", Key: "webhook.body_days", Example: "30",
		Doc:   "days after which the stored bodies of webhooks are cleared; 0 is never",
		field: func(c *Config) any { return &c.Webhook.BodyDays }},
	{Name: "SLUICE_WEBHOOK_ROW_DAYS", Key: "webhook.row_days", Example: "400",
		Doc:   "days after which webhooks are deleted, no less than body_days; 0 is never",
		field: func(c *Config) any { return &c.Webhook.RowDays }},
	{Name: "SLUICE_PURCHASE_VERSION_DAYS", Key: "webhook.purchase_version_days", Example: "1100",
		Doc:   "days after which single statements about purchases are deleted, by whole months; what they come to stays; 0 is never",
		field: func(c *Config) any { return &c.Webhook.VersionDays }},
	{Name: "SLUICE_WEBHOOK_SILENCE", Key: "webhook.silence", Example: "6h",
		Doc:   "time without any webhook after which some may be missing, while players spend or claim; 0 is off, for outages of ours as well",
		field: func(c *Config) any { return &c.Webhook.Silence }},
	{Name: "SLUICE_CLAIM_WAIT", Key: "claims.wait", Example: "30s",
		Doc:   "how long a claim waits for its webhook before RevenueCat is asked, and then again whenever it is twice as old; more than 0",
		field: func(c *Config) any { return &c.Claims.Wait }},
	{Name: "SLUICE_CLAIM_PATIENCE", Key: "claims.patience", Example: "1h",
		Doc:   "age at which a claim of a purchase that RevenueCat does not know is rejected; if it turns up later, the claim is confirmed; at least the wait",
		field: func(c *Config) any { return &c.Claims.Patience }},
	{Name: "SLUICE_SANDBOX_TESTERS", Key: "sandbox_testers", List: true, Example: "tester_1,tester_2",
		Doc:   "App User IDs whose purchases in the sandbox count as real ones",
		field: func(c *Config) any { return &c.SandboxTesters }},
	{Name: "SLUICE_SESSION_SECRET", Key: "session.secret", Secret: true,
		Example: "what this prints: openssl rand -hex 32",
		Doc:     "HS256 key of the players' session tokens; 16 bytes or more, 32 are better",
		field:   func(c *Config) any { return &c.Session.Secret }},
	{Name: "SLUICE_SESSION_JWKS_URL", Key: "session.jwks_url", Example: "https://auth.example.com/jwks.json",
		Doc:   "JWKS with the public keys of the players' session tokens (RS256, ES256, EdDSA); beside the secret or instead of it",
		field: func(c *Config) any { return &c.Session.JWKSURL }},
	{Name: "SLUICE_SESSION_AUDIENCE", Key: "session.audience", Example: "my-game",
		Doc:   "aud that session tokens must have; unset: not checked",
		field: func(c *Config) any { return &c.Session.Audience }},
	{Name: "SLUICE_SESSION_ISSUER", Key: "session.issuer", Example: "https://auth.example.com",
		Doc:   "iss that session tokens must have; unset: not checked",
		field: func(c *Config) any { return &c.Session.Issuer }},
	{Name: "SLUICE_SERVER_KEYS", Key: "keys.server", Secret: true, List: true,
		Example: "what this prints: openssl rand -hex 32",
		Doc:     "bearer keys of game servers; list the old and the new one while rotating",
		field:   func(c *Config) any { return &c.Keys.Server }},
	{Name: "SLUICE_ADMIN_KEYS", Key: "keys.admin", Secret: true, List: true, Example: "support:KEY",
		Doc:   "keys of the console: role:key with role viewer, support or operator; a bare key is operator",
		field: func(c *Config) any { return &c.Keys.Admin }},
	{Name: "SLUICE_CATALOG", Key: "catalog", Example: "/etc/sluice/catalog.yaml",
		Doc:   "path of the price catalogue, from the working directory",
		field: func(c *Config) any { return &c.Catalog }},
	{Name: "SLUICE_HANDOVER_URL", Key: "handover.url", List: true, Example: "https://game.example.com/sluice",
		Doc:   "endpoint of the game's server that hands items over (docs/handover.md): url, or name=url when there are several; a bare one is called game",
		field: func(c *Config) any { return &c.HandOver.URLs }},
	{Name: "SLUICE_HANDOVER_SECRETS", Key: "handover.secrets", Secret: true, List: true,
		Example: "what this prints: echo whsec_$(openssl rand -base64 32)",
		Doc:     "what signs the requests to an endpoint: secret, or name=secret; list the old and the new one while rotating",
		field:   func(c *Config) any { return &c.HandOver.Secrets }},
	{Name: "SLUICE_HANDOVER_PATIENCE", Key: "handover.patience", Example: "900s",
		Doc:   "how long after the charge an endpoint may fail before the cost is given back; an item of the catalogue may name its own",
		field: func(c *Config) any { return &c.HandOver.Patience }},
	{Name: "SLUICE_HANDOVER_TIMEOUT", Key: "handover.timeout", Example: "5s",
		Doc:   "how long one request to an endpoint may take, at most 10s",
		field: func(c *Config) any { return &c.HandOver.Timeout }},
	{Name: "SLUICE_HANDOVER_CONCURRENCY", Key: "handover.concurrency", Example: "16",
		Doc:   "requests that one process has under way at one endpoint",
		field: func(c *Config) any { return &c.HandOver.Concurrency }},
	{Name: "SLUICE_HANDOVER_CONFIRM", Key: "handover.confirm", List: true, Example: "game",
		Doc:   "endpoints whose yes is believed only after a check, one request more per item",
		field: func(c *Config) any { return &c.HandOver.Confirm }},
	{Name: "SLUICE_DATA_DIR", Key: "data_dir", Example: ".sluice",
		Doc:   "folder of what sluice dev and sluice nats keep",
		field: func(c *Config) any { return &c.DataDir }},
	{Name: "SLUICE_PLAYER_RATE", Key: "player_rate", Example: "20",
		Doc:   "requests a second of one player, and at once those of five seconds; 0 is off",
		field: func(c *Config) any { return &c.PlayerRate }},
	{Name: "SLUICE_PLAYER_OPEN_MAX", Key: "player_open_max", Example: "100",
		Doc:   "spends and grants of one player that may be open at once, more are 429; 0 is off",
		field: func(c *Config) any { return &c.PlayerOpenMax }},
	{Name: "SLUICE_GRANT_MAX", Key: "grant_max", Example: "10000",
		Doc:   "the most that one POST /grants may give of one currency; 0 forbids grants",
		field: func(c *Config) any { return &c.GrantMax }},
	{Name: "SLUICE_REFUND_ALONE", Key: "refund_alone", List: true, Example: "GEM=1000",
		Doc:   "the most of a currency that one operator may refund of a fulfilled spend; more needs a second person; unset, or a currency that is not in it: no limit",
		field: func(c *Config) any { return &c.RefundAlone }},
	{Name: "SLUICE_TRACE_URL", Key: "trace_url", Example: "https://jaeger.example.com/trace/{trace}",
		Doc:   "where people look at a trace, with {trace} for its id; dead letters show it; unset: they show the id",
		field: func(c *Config) any { return &c.TraceURL }},
	{Name: "SLUICE_LOG_LEVEL", Key: "log.level", Example: "info",
		Doc:   "debug, info, warn or error",
		field: func(c *Config) any { return &c.Log.Level }},
	{Name: "SLUICE_LOG_FORMAT", Key: "log.format", Example: "json",
		Doc:   "json or text; unset: text for sluice dev on a terminal, else json",
		field: func(c *Config) any { return &c.Log.Format }},
	{Name: "SLUICE_WORK_ONLY", Key: "work.only", List: true, Example: "adjust,fulfil",
		Doc:   "consumers that sluice work runs; unset: all",
		field: func(c *Config) any { return &c.Work.Only }},
	{Name: "SLUICE_WORK_CONCURRENCY", Key: "work.concurrency", Example: "0",
		Doc:   "deliveries in hand per consumer; 0 is each consumer's own choice",
		field: func(c *Config) any { return &c.Work.Concurrency }},
}

// Variables returns every setting with its default, in a fixed order.
func Variables() []Variable {
	defaults := Default()
	out := make([]Variable, len(table))
	for i, v := range table {
		v.Default = show(v.field(&defaults))
		out[i] = v
	}
	return out
}

// fileName is the variable that names a file with v's value.
func (v Variable) fileName() string { return v.Name + fileSuffix }

// fileKey is the YAML key that names a file with v's value.
func (v Variable) fileKey() string { return v.Key + strings.ToLower(fileSuffix) }

// String names the setting in messages: SLUICE_HTTP_ADDR (http.addr).
func (v Variable) String() string {
	if v.Key == "" {
		return v.Name
	}
	return v.Name + " (" + v.Key + ")"
}

// variable finds a row of the table by name. An unknown name is our mistake.
func variable(name string) Variable {
	for _, v := range table {
		if v.Name == name {
			return v
		}
	}
	panic("config: no variable " + name)
}
