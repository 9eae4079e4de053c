package config

import (
	"log/slog"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Config is everything an operator can set. Only cmd sees the whole of it; every
// other package receives the few values it needs.
type Config struct {
	File       string // the YAML file it was read from (SLUICE_CONFIG); empty: none
	HTTP       HTTP
	Metrics    Metrics
	Database   Database
	NATS       NATS
	RevenueCat RevenueCat
	Webhook    Webhook
	// SandboxTesters are App User IDs whose purchases in the sandbox count.
	SandboxTesters []string
	Claims         Claims
	Session        Session
	Keys           Keys
	Catalog        string  // path of the catalogue file, from the working directory
	DataDir        string  // folder of what `sluice dev` and `sluice nats` keep
	PlayerRate     float64 // requests a second of one player, with bursts of five seconds of it; 0: no limit
	// PlayerOpenMax is how many spends and grants of one player may be open; 0: no limit.
	PlayerOpenMax int
	GrantMax      int // the most that one grant may give of one currency; 0: no grants
	// RefundAlone is the most of a currency that one operator may refund of a fulfilled
	// spend without a second person; a currency that is not in it has no limit.
	RefundAlone economy.Amounts
	// TraceURL is where a person looks at a trace; {trace} stands for its id. Empty: nowhere.
	TraceURL string
	HandOver HandOver
	Log      Log
	Work     Work

	// unread names the variables that were set to something unreadable. Load has
	// reported them, so Validate does not call them missing as well.
	unread []string
}

// HTTP is where `sluice serve` listens.
type HTTP struct {
	Addr string // host:port; an empty host is every interface, port 0 any free port
	// DrainGrace is how long a stop goes on taking new connections while /readyz
	// answers 503.
	DrainGrace time.Duration
}

// Metrics is where the roles that serve no requests show how they are.
type Metrics struct {
	Addr string // host:port, as HTTP.Addr; empty: nowhere
}

// Database is the PostgreSQL that holds the truth.
type Database struct {
	URL URL // postgres://
}

// NATS is the broker.
type NATS struct {
	URL      URL // nats://, several servers of one cluster separated by commas
	Replicas int // copies of the stream and its consumers: 1, 3 or 5
}

// RevenueCat is the provider that keeps the balances.
type RevenueCat struct {
	URL       URL    // base of the API v2, without a trailing slash
	SecretKey Secret // a v2 secret key; v1 keys are refused by the API
	// SecretKeyFile is where SecretKey was read; empty: not from a file. It is read
	// again when it changes, see FileSecret.
	SecretKeyFile string
	ProjectID     string
	// SoleWriter says that nobody but Sluice moves balances: no product grants the
	// currency and nobody edits it.
	SoleWriter bool
}

// Webhook is how RevenueCat's webhooks prove where they come from, which of them
// are taken, and for how long they are kept.
type Webhook struct {
	Enabled        bool     // false: there is no such endpoint, and no proof is needed
	Authorization  Secret   // the exact value of the Authorization header; unset: not checked
	SigningSecrets []Secret // any of them may have signed, so that a secret can be rotated; none: not checked
	// The files they were read from; empty: not from a file. They are read again when
	// they change, see FileSecret and FileSecrets.
	AuthorizationFile, SigningSecretsFile string

	Tolerance   time.Duration
	Environment WebhookEnvironment
	Redact      []string // subscriber attributes whose values are not stored
	BodyDays    int      // days after which bodies are cleared; 0: never
	RowDays     int      // days after which rows are deleted; 0: never
	VersionDays int      // days after which statements about purchases are deleted, whoever made them; 0: never
	// Silence is after how long without a webhook some may be missing, while the game goes on; 0: never.
	Silence time.Duration
}

// Claims is when RevenueCat is asked about a purchase that only the player told of.
type Claims struct {
	Wait     time.Duration // for its webhook
	Patience time.Duration // until it is rejected when RevenueCat does not know it
}

// WebhookEnvironment is of which environment of the stores webhooks are taken.
type WebhookEnvironment string

// The choices of an environment.
const (
	WebhooksProduction WebhookEnvironment = "production"
	WebhooksSandbox    WebhookEnvironment = "sandbox"
	WebhooksBoth       WebhookEnvironment = "both"
)

// Session is how a player's token is verified.
type Session struct {
	Secret   Secret // HS256 key; unset: HS256 is refused
	JWKSURL  URL    // public keys of RS256, ES256 and EdDSA; unset: these are refused
	Audience string // required `aud`; empty: not checked
	Issuer   string // required `iss`; empty: not checked
}

// Keys are the bearer keys of callers that are not players.
type Keys struct {
	Server []Secret
	Admin  []AdminKey
}

// AdminKey is a key and what its holder may do.
type AdminKey struct {
	Role AdminRole
	Key  Secret
}

// AdminRole is what the holder of an admin key may do.
type AdminRole string

// The admin roles; each may do what the ones before it may.
const (
	Viewer   AdminRole = "viewer"   // look
	Support  AdminRole = "support"  // and help one player
	Operator AdminRole = "operator" // and settle, retry, pause
)

// Log is how the program writes its log, on standard error.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the form of a log line.
type LogFormat string

// The log formats.
const (
	LogAuto LogFormat = ""     // text for `sluice dev` on a terminal, else JSON
	LogJSON LogFormat = "json" // one JSON object a line, for machines
	LogText LogFormat = "text" // key=value, for people
)

// Work is which consumers `sluice work` runs, and how many deliveries each holds.
type Work struct {
	Only        []string // consumers by name; empty: all
	Concurrency int      // deliveries in hand per consumer; 0: what the consumer itself asks for
}

// Default returns the configuration of a program that was told nothing.
func Default() Config {
	return Config{
		// Three seconds are a look or two of most load balancers, and leave a container
		// time before Docker's ten are over.
		HTTP:       HTTP{Addr: "127.0.0.1:8080", DrainGrace: 3 * time.Second},
		NATS:       NATS{Replicas: 1},
		RevenueCat: RevenueCat{URL: NewURL("https://api.revenuecat.com/v2")},
		// RevenueCat's page and samples use 300 s. The timestamp is the one of the
		// attempt, so retries do not need more (revenuecat.md, 2.2).
		Webhook: Webhook{
			Enabled: true, Tolerance: 300 * time.Second, Environment: WebhooksBoth,
			// A body serves to look into what went wrong lately. A row, some hundred bytes, tells
			// of a purchase's whole year.
			BodyDays: 30, RowDays: 400,
			// More than twice the 155 minutes for which RevenueCat tries: what is over by then
			// has healed itself.
			Silence: 6 * time.Hour,
		},
		// Most webhooks come within a minute; a store that sold something has told RevenueCat in an hour.
		Claims:     Claims{Wait: 30 * time.Second, Patience: time.Hour},
		DataDir:    ".sluice",
		PlayerRate: 20,
		// A player who plays has one or two under way. A hundred is what a burst may make
		// of them, and coalesced into one call they are settled within a second.
		PlayerOpenMax: 100,
		GrantMax:      10_000,
		// A quarter of an hour outlasts a restart and most deployments of a game's
		// server; a player who waits longer would rather have the gems back. Sixteen
		// requests at 50 ms are 320 a second.
		HandOver: HandOver{Patience: 15 * time.Minute, Timeout: 5 * time.Second, Concurrency: 16},
		Log:      Log{Level: slog.LevelInfo, Format: LogAuto},
	}
}
