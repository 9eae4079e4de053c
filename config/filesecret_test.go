package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
)

func TestASecretIsRotatedByItsFile(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	content, readErr, reads := "sk_canary_1\n", error(nil), 0
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	secret := config.NewFileSecret("SLUICE_X", "/run/key", config.NewSecret("sk_canary_1"),
		func(string) ([]byte, error) { reads++; return []byte(content), readErr },
		func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	want := func(value, why string) {
		t.Helper()
		if got := secret.Reveal(); got != value {
			t.Errorf("%s: got %q, want %q", why, got, value)
		}
	}
	content = "sk_canary_2\n"
	for range 1000 {
		want("sk_canary_1", "the file was just read")
	}
	if reads != 0 {
		t.Errorf("read %d times at one moment", reads)
	}
	now = now.Add(5 * time.Second)
	want("sk_canary_2", "rotated")
	if n := strings.Count(log.String(), "secret changed"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	for _, bad := range []string{"", "\n", "sk canary_3", "sk_canary_3\nsk_canary_4\n"} {
		content = bad
		now = now.Add(5 * time.Second)
		want("sk_canary_2", "the last good one stays")
	}
	readErr = errors.New("gone")
	now = now.Add(5 * time.Second)
	want("sk_canary_2", "no file")
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("warned %d times:\n%s", n, log.String())
	}
	content, readErr = "sk_canary_5", nil
	now = now.Add(5 * time.Second)
	want("sk_canary_5", "well again")
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log has the key:\n%s", log.String())
	}
}

func TestWhereTheProvidersKeyWasReadIsKnown(t *testing.T) {
	t.Parallel()
	disk := files(map[string]string{"k": "sk_1\n", "f": "revenuecat: {secret_key_file: k}\n"})
	for _, test := range []struct {
		env  []string
		path string
	}{
		{[]string{"SLUICE_REVENUECAT_SECRET_KEY_FILE", "k"}, "k"},
		{[]string{"SLUICE_CONFIG", "f"}, "k"},
		{[]string{"SLUICE_REVENUECAT_SECRET_KEY", "sk_2"}, ""},
		{[]string{"SLUICE_CONFIG", "f", "SLUICE_REVENUECAT_SECRET_KEY", "sk_2"}, ""}, // the environment wins
	} {
		c, err := config.Load(env(test.env...), disk)
		if err != nil || c.RevenueCat.SecretKeyFile != test.path {
			t.Errorf("%v: read from %q, %v, want %q", test.env, c.RevenueCat.SecretKeyFile, err, test.path)
		}
	}
}
