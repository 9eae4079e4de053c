package config

import (
	"errors"
	"fmt"
	"slices"
)

// Role is a subcommand as far as it needs settings.
type Role string

// The roles.
const (
	RoleServe    Role = "serve"
	RoleWork     Role = "work"
	RoleRelay    Role = "relay"
	RoleNATS     Role = "nats"
	RoleMigrate  Role = "migrate"
	RoleSimulate Role = "simulate"
	RoleDev      Role = "dev" // makes up what is unset
)

// needs is what a role refuses to start without (design.md, section 8).
var needs = map[Role][]string{
	RoleServe: {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_URL", "SLUICE_REVENUECAT_SECRET_KEY",
		"SLUICE_REVENUECAT_PROJECT_ID", "SLUICE_WEBHOOK_AUTHORIZATION", "SLUICE_SESSION_SECRET", "SLUICE_CATALOG"},
	RoleWork: {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_URL", "SLUICE_REVENUECAT_SECRET_KEY",
		"SLUICE_REVENUECAT_PROJECT_ID"},
	RoleRelay:    {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL"},
	RoleNATS:     {"SLUICE_DATA_DIR"},
	RoleMigrate:  {"SLUICE_DATABASE_URL"},
	RoleSimulate: {},
	RoleDev:      {},
}

// Validate returns every problem of c for a role, one a line, or nil. Each names
// the variable and its YAML key, what is wrong, and what to write. What is set
// must be well formed in every role; what is missing is a problem only where the
// role needs it. An unknown role is our mistake and panics.
func (c Config) Validate(role Role) error { return c.ValidateFor(role, string(role)) }

// ValidateFor is Validate for a subcommand that needs what a role needs: it is the one
// that messages name, such as "spend show".
func (c Config) ValidateFor(role Role, command string) error {
	required, ok := needs[role]
	if !ok {
		panic(fmt.Sprintf("config: no role %q", role))
	}
	k := &checker{config: c, command: command}
	for _, name := range required {
		k.required(name)
	}
	k.addresses()
	k.provider()
	k.secrets()
	k.webhooks()
	k.numbers()
	k.handOver()
	return errors.Join(k.problems...)
}

type checker struct {
	config   Config
	command  string
	problems []error
}

// add reports a problem of one variable: what is wrong and what to write.
func (k *checker) add(name, format string, args ...any) {
	v := variable(name)
	k.problems = append(k.problems, fmt.Errorf("%s: "+format, append([]any{v}, args...)...))
}

func (k *checker) required(name string) {
	v := variable(name)
	switch {
	case show(v.field(&k.config)) != "":
	case slices.Contains(k.config.unread, name): // reported by Load, in better words
	case name == "SLUICE_WEBHOOK_AUTHORIZATION" && (len(k.config.Webhook.SigningSecrets) > 0 || !k.config.Webhook.Enabled ||
		slices.Contains(k.config.unread, "SLUICE_WEBHOOK_SIGNING_SECRETS")):
	case name == "SLUICE_WEBHOOK_AUTHORIZATION":
		k.add(name, "is missing, and sluice %s needs it: write %s, or set SLUICE_WEBHOOK_SIGNING_SECRETS, or SLUICE_WEBHOOK_ENABLED=false to take no webhooks",
			k.command, v.Example)
	case name == "SLUICE_SESSION_SECRET" && k.config.Session.JWKSURL.IsSet(): // one of the two is enough
	case name == "SLUICE_SESSION_SECRET":
		k.add(name, "is missing, and sluice %s needs it: write %s, or set SLUICE_SESSION_JWKS_URL", k.command, v.Example)
	default:
		k.add(name, "is missing, and sluice %s needs it: write one such as %s", k.command, v.Example)
	}
}
