package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/config"
)

const hunter2 = "hunter2"

// full is a Config with hunter2 in every place that may hold a secret.
func full() config.Config {
	c := config.Default()
	s := config.NewSecret(hunter2)
	c.Database.URL = config.NewURL("postgres://sluice:hunter2@db/sluice?sslpassword=hunter2")
	c.NATS.URL = config.NewURL("nats://u:hunter2@a:4222,nats://hunter2@b:4222")
	c.RevenueCat.SecretKey, c.Webhook.Authorization, c.Session.Secret = s, s, s
	c.Webhook.SigningSecrets = []config.Secret{s, s}
	c.Keys.Server = []config.Secret{s}
	c.Keys.Admin = []config.AdminKey{{Role: config.Operator, Key: s}}
	return c
}

// hidden keeps a secret where fmt may not call its methods.
type hidden struct {
	inner config.Secret
	url   config.URL
	list  []config.Secret
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	secret, address := config.NewSecret(hunter2), config.NewURL("postgres://u:hunter2@h/d")
	values := map[string]any{
		"secret": secret, "pointer": &secret, "list": []config.Secret{secret}, "key of a map": map[config.Secret]int{secret: 1},
		"value of a map": map[string]config.Secret{"k": secret}, "admin key": config.AdminKey{Role: config.Viewer, Key: secret},
		"url": address, "pointer to url": &address, "config": full(), "pointer to config": ptr(full()),
		"unexported field": hidden{secret, address, []config.Secret{secret}}, "redacted": full().Redacted(),
	}
	printers := map[string]func(any) string{
		"String": func(v any) string { return fmt.Sprint(v) },
		"json": func(v any) string {
			raw, _ := json.Marshal(v)
			return string(raw)
		},
		"yaml": func(v any) string {
			raw, _ := yaml.Marshal(v)
			return string(raw)
		},
		"xml": func(v any) string {
			raw, _ := xml.Marshal(v)
			return string(raw)
		},
		"slog text": func(v any) string { return logged(v, true) },
		"slog json": func(v any) string { return logged(v, false) },
		"error":     func(v any) string { return fmt.Errorf("bad: %v", v).Error() },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%-.3s", "%U", "%T %v"} {
		printers[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
		if verb == "%T %v" {
			printers[verb] = func(v any) string { return fmt.Sprintf(verb, v, v) }
		}
	}
	for what, value := range values {
		for how, show := range printers {
			text := strings.ToLower(show(value))
			// In hex too, as %x writes it.
			if strings.Contains(text, hunter2) || strings.Contains(text, "68756e74657232") {
				t.Errorf("%s of %s prints the secret: %s", how, what, text)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

func logged(v any, text bool) string {
	var out bytes.Buffer
	var handler slog.Handler = slog.NewJSONHandler(&out, nil)
	if text {
		handler = slog.NewTextHandler(&out, nil)
	}
	slog.New(handler).With("with", v).Info("m", "v", v)
	return out.String()
}

func TestASetSecretShowsAsMaskedAndAnUnsetOneAsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format, set, unset string
	}{
		{"%v", "***", ""}, {"%+v", "***", ""}, {"%s", "***", ""}, {"%q", `"***"`, `""`}, {"%#v", `"***"`, `""`},
	} {
		if got := fmt.Sprintf(c.format, config.NewSecret("x")); got != c.set {
			t.Errorf("%s of a set secret: %s, want %s", c.format, got, c.set)
		}
		if got := fmt.Sprintf(c.format, config.NewSecret("")); got != c.unset {
			t.Errorf("%s of an unset secret: %s, want %s", c.format, got, c.unset)
		}
	}
	raw, err := json.Marshal(map[string]config.Secret{"set": config.NewSecret("x"), "unset": {}})
	if err != nil || string(raw) != `{"set":"***","unset":""}` {
		t.Errorf("json %s, %v", raw, err)
	}
	if s := config.NewSecret("x"); s.Reveal() != "x" || !s.IsSet() || s.String() != "***" || s.GoString() != `"***"` {
		t.Errorf("secret %v", s)
	}
}

func TestAURLShowsAllButItsPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, want string }{
		{"", ""},
		{"https://api.revenuecat.com/v2", "https://api.revenuecat.com/v2"},
		{"postgres://u:pw@h:5432/d?sslmode=require", "postgres://u:***@h:5432/d?sslmode=require"},
		{"postgres://u:p%40w@h/d", "postgres://u:***@h/d"},
		{"postgres://u@h/d", "postgres://u@h/d"},
		{"postgres://u@/d?host=/tmp/pg", "postgres://u@/d?host=%2Ftmp%2Fpg"},
		{"postgres://h/d?user=u&password=pw", "postgres://h/d?password=***&user=u"},
		{"postgres://u:pw@h1:5432,h2:5432/d", "postgres://u:***@h1:5432,h2:5432/d"},
		{"nats://token@h:4222", "nats://***@h:4222"},
		{"nats://a:4222,nats://u:pw@b:4222", "nats://a:4222,nats://u:***@b:4222"},
		// Mistakes that turn the password into something else: all is hidden.
		{"postgres://u:12/pw@h/d", "***"},
		{"postgres://u:12?pw@h/d", "***"},
		{"postgres://u:12#pw@h/d", "***"},
		{"postgres://u:pw /x@h/d", "***"},
		{"host=h password=pw", "***"},
		{"pw", "***"},
		{"pw:pw", "***"},
	} {
		if got := config.NewURL(c.raw).String(); got != c.want {
			t.Errorf("%s shows as %s, want %s", c.raw, got, c.want)
		}
		if got := config.NewURL(c.raw).Reveal(); got != c.raw {
			t.Errorf("%s reveals %s", c.raw, got)
		}
	}
}
