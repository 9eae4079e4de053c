package config_test

import (
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
)

func TestNothingSetIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := config.Load(env(), files(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("got %+v, want the default", c)
	}
}

func TestTheExampleFileIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := config.Load(env("SLUICE_CONFIG", "examples/sluice.yaml"), os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	c.File = ""
	if !reflect.DeepEqual(c.Redacted(), config.Default().Redacted()) || !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("examples/sluice.yaml differs from Default():\n%v\n%v", c.Redacted(), config.Default().Redacted())
	}
}

// The example must name every setting on one line: its variable, and its key's
// last part before the colon.
func TestTheExampleFileHasEveryKey(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("examples/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Variables() {
		if v.Key == "" {
			continue
		}
		leaf := v.Key[strings.LastIndex(v.Key, ".")+1:]
		found := false
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(strings.TrimSpace(line), leaf+":") && strings.Contains(line, v.Name+";") {
				found = true
				if v.Secret != strings.Contains(line, "(secret)") {
					t.Errorf("%s: the example and the table disagree whether it is secret", v.Key)
				}
			}
		}
		if !found {
			t.Errorf("%s (%s) is not in the example", v.Key, v.Name)
		}
	}
}

// written is a value for each setting that differs from its default, and the
// masked form it must show afterwards.
var written = map[string]struct{ value, shown string }{
	"SLUICE_CONFIG":                  {"", ""},
	"SLUICE_HTTP_ADDR":               {":9090", ":9090"},
	"SLUICE_HTTP_DRAIN_GRACE":        {"10s", "10s"},
	"SLUICE_METRICS_ADDR":            {":9091", ":9091"},
	"SLUICE_DATABASE_URL":            {"postgres://sluice:pw-1@db:5432/sluice", "postgres://sluice:***@db:5432/sluice"},
	"SLUICE_NATS_URL":                {"nats://u:pw-1@a:4222,nats://b:4222", "nats://u:***@a:4222,nats://b:4222"},
	"SLUICE_NATS_REPLICAS":           {"3", "3"},
	"SLUICE_REVENUECAT_URL":          {"http://127.0.0.1:8081/v2/", "http://127.0.0.1:8081/v2"},
	"SLUICE_REVENUECAT_SECRET_KEY":   {"sk_pw-1", "***"},
	"SLUICE_REVENUECAT_PROJECT_ID":   {"proj1", "proj1"},
	"SLUICE_REVENUECAT_SOLE_WRITER":  {"true", "true"},
	"SLUICE_WEBHOOK_ENABLED":         {"false", "false"},
	"SLUICE_WEBHOOK_AUTHORIZATION":   {"Bearer pw-1", "***"},
	"SLUICE_WEBHOOK_SIGNING_SECRETS": {"pw-1, pw-2", "***,***"},
	"SLUICE_WEBHOOK_TOLERANCE":       {"90s", "90s"},
	"SLUICE_WEBHOOK_ENVIRONMENT":     {"production", "production"},
	"SLUICE_WEBHOOK_REDACT":          {"$email, *", "$email,*"},
	"SLUICE_WEBHOOK_BODY_DAYS":       {"7", "7"},
	"SLUICE_WEBHOOK_ROW_DAYS":        {"90", "90"},
	"SLUICE_PURCHASE_VERSION_DAYS":   {"1100", "1100"},
	"SLUICE_WEBHOOK_SILENCE":         {"90m", "5400s"},
	"SLUICE_CLAIM_WAIT":              {"5s", "5s"},
	"SLUICE_CLAIM_PATIENCE":          {"10m", "600s"},
	"SLUICE_SANDBOX_TESTERS":         {"a,b", "a,b"},
	"SLUICE_SESSION_SECRET":          {"pw-1pw-1pw-1pw-1pw-1pw-1pw-1pw-1", "***"},
	"SLUICE_SESSION_JWKS_URL":        {"https://a.example/jwks", "https://a.example/jwks"},
	"SLUICE_SESSION_AUDIENCE":        {"game", "game"},
	"SLUICE_SESSION_ISSUER":          {"https://a.example", "https://a.example"},
	"SLUICE_SERVER_KEYS":             {"pw-1,pw-2", "***,***"},
	"SLUICE_ADMIN_KEYS":              {"pw-1,viewer:pw-2,support:pw-3", "operator:***,viewer:***,support:***"},
	"SLUICE_CATALOG":                 {"c.yaml", "c.yaml"},
	"SLUICE_HANDOVER_URL":            {"https://a.example/x, guild=http://b.example:8080/?y=1", "game=https://a.example/x,guild=http://b.example:8080/?y=1"},
	"SLUICE_HANDOVER_SECRETS":        {"whsec_pw-1,guild=whsec_pw-2", "game=***,guild=***"},
	"SLUICE_HANDOVER_PATIENCE":       {"60s", "60s"},
	"SLUICE_HANDOVER_TIMEOUT":        {"2s", "2s"},
	"SLUICE_HANDOVER_CONCURRENCY":    {"4", "4"},
	"SLUICE_HANDOVER_CONFIRM":        {"game,guild", "game,guild"},
	"SLUICE_DATA_DIR":                {"/data", "/data"},
	"SLUICE_PLAYER_RATE":             {"0.5", "0.5"},
	"SLUICE_PLAYER_OPEN_MAX":         {"7", "7"},
	"SLUICE_GRANT_MAX":               {"500", "500"},
	"SLUICE_REFUND_ALONE":            {"GEM=1000, GOLD=0", "GEM=1000,GOLD=0"},
	"SLUICE_TRACE_URL":               {"https://a.example/{trace}", "https://a.example/{trace}"},
	"SLUICE_LOG_LEVEL":               {"warn", "warn"},
	"SLUICE_LOG_FORMAT":              {"text", "text"},
	"SLUICE_WORK_ONLY":               {"adjust,fulfil", "adjust,fulfil"},
	"SLUICE_WORK_CONCURRENCY":        {"8", "8"},
}

func TestEverySettingIsReadFromTheEnvironmentAndFromYAMLAlike(t *testing.T) {
	t.Parallel()
	for _, v := range config.Variables() {
		w, ok := written[v.Name]
		if !ok {
			t.Errorf("%s has no value in this test", v.Name)
			continue
		}
		if v.Key == "" {
			continue
		}
		fromEnv, err := config.Load(env(v.Name, w.value), files(nil))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		if got := shown(fromEnv, v.Name); got != w.shown {
			t.Errorf("%s shows %q, want %q", v.Name, got, w.shown)
		}
		fromFile, err := config.Load(env("SLUICE_CONFIG", "f"), files(map[string]string{"f": yamlOf(v.Key, w.value)}))
		if err != nil {
			t.Errorf("%s: %v", v.Key, err)
		}
		fromFile.File = ""
		if !reflect.DeepEqual(fromEnv, fromFile) {
			t.Errorf("%s: %+v from the environment, %+v from YAML", v.Key, fromEnv, fromFile)
		}
		if changed := reflect.DeepEqual(fromEnv, config.Default()); changed {
			t.Errorf("%s changes nothing", v.Name)
		}
		if !v.Secret {
			continue
		}
		disk := files(map[string]string{"s": w.value + "\n", "f": yamlOf(v.Key+"_file", "s")})
		for place, getenv := range map[string]func(string) (string, bool){
			v.Name + "_FILE": env(v.Name+"_FILE", "s"), v.Key + "_file": env("SLUICE_CONFIG", "f"),
		} {
			c, err := config.Load(getenv, disk)
			c.File, c.RevenueCat.SecretKeyFile = "", "" // where it was read
			c.Webhook.AuthorizationFile, c.Webhook.SigningSecretsFile = "", ""
			if err != nil || !reflect.DeepEqual(c, fromEnv) {
				t.Errorf("%s: got %+v, %v, want %+v", place, c, err, fromEnv)
			}
		}
	}
}

func TestTheEnvironmentWinsOverYAML(t *testing.T) {
	t.Parallel()
	disk := files(map[string]string{
		"f": "http: {addr: ':1'}\nsession: {secret: from-yaml}\nlog: {level: debug}\n", "s": "from-file\n\n",
	})
	c, err := config.Load(env("SLUICE_CONFIG", "f", "SLUICE_HTTP_ADDR", ":2", "SLUICE_SESSION_SECRET_FILE", "s", "SLUICE_LOG_LEVEL", ""), disk)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Addr != ":2" {
		t.Errorf("addr %q", c.HTTP.Addr)
	}
	if got := c.Session.Secret.Reveal(); got != "from-file\n" { // one trailing newline only
		t.Errorf("secret %q", got)
	}
	if c.Log.Level != slog.LevelDebug {
		t.Errorf("an empty variable must count as unset, level %s", c.Log.Level)
	}
}

func TestYAMLListsAreSequences(t *testing.T) {
	t.Parallel()
	disk := files(map[string]string{"f": "keys:\n  admin:\n    - one\n    - support:two\nwork: {only: [adjust, fulfil]}\n"})
	c, err := config.Load(env("SLUICE_CONFIG", "f"), disk)
	if err != nil {
		t.Fatal(err)
	}
	admin := c.Keys.Admin
	if len(admin) != 2 || admin[0].Role != config.Operator || admin[0].Key.Reveal() != "one" ||
		admin[1].Role != config.Support || admin[1].Key.Reveal() != "two" {
		t.Errorf("admin keys %v", admin)
	}
	if !reflect.DeepEqual(c.Work.Only, []string{"adjust", "fulfil"}) {
		t.Errorf("only %v", c.Work.Only)
	}
}

func TestASecretSetTwiceIsAProblem(t *testing.T) {
	t.Parallel()
	_, err := config.Load(env("SLUICE_SESSION_SECRET", "a", "SLUICE_SESSION_SECRET_FILE", "s"), files(map[string]string{"s": "b"}))
	want := "SLUICE_SESSION_SECRET (session.secret): both it and SLUICE_SESSION_SECRET_FILE are set: unset one"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAnUnknownVariableNamesTheNearestKnownOne(t *testing.T) {
	t.Parallel()
	_, err := config.LoadEnviron([]string{
		"HOME=/root", "SLUICE_DATABSE_URL=postgres://u:hunter2@h/d", "SLUICE_SESION_SECRET_FILE=x",
		"SLUICE_PORT_8080_TCP_ADDR=10.0.0.1", "SLUICE_WEBHOOK_TOLERANCE=soon", "SLUICE_HTTP_ADDR=:1",
	}, files(nil))
	want := []string{
		"SLUICE_DATABSE_URL is not a variable of sluice: the nearest known one is SLUICE_DATABASE_URL",
		"SLUICE_PORT_8080_TCP_ADDR is not a variable of sluice; it looks like a service link of Kubernetes: set enableServiceLinks: false in the pod",
		"SLUICE_SESION_SECRET_FILE is not a variable of sluice: the nearest known one is SLUICE_SESSION_SECRET_FILE",
		`SLUICE_WEBHOOK_TOLERANCE (webhook.tolerance): "soon" is not a duration: write a number with its unit, such as 300s or 5m`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := config.WriteHelp(&help); err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Variables() {
		for _, part := range []string{v.Name, v.Key, v.Default, v.Doc} {
			if !strings.Contains(help.String(), part) {
				t.Errorf("help lacks %q", part)
			}
		}
		if v.Doc == "" || v.Example == "" {
			t.Errorf("%s has no doc line or example", v.Name)
		}
	}
	if d := config.Default().Webhook.Tolerance; d != 300*time.Second {
		t.Errorf("tolerance %s", d)
	}
}

func shown(c config.Config, name string) string {
	for _, s := range c.Redacted() {
		if s.Variable == name {
			return s.Value
		}
	}
	return "no such setting"
}

// yamlOf writes one key as a file, nested as its dots say.
func yamlOf(key, value string) string {
	group, leaf, nested := strings.Cut(key, ".")
	quoted := "'" + value + "'"
	if !nested {
		return key + ": " + quoted + "\n"
	}
	return group + ":\n  " + leaf + ": " + quoted + "\n"
}
