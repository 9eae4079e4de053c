package config_test

import (
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
)

func TestHeadersAndListsAreRotatedByTheirFiles(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var content string
	read := func(string) ([]byte, error) { return []byte(content), nil }
	clock := func() time.Time { return now }
	log := slog.New(slog.DiscardHandler)
	header := config.NewFileHeader("SLUICE_X", "/run/x", config.NewSecret("Bearer a"), read, clock, log)
	list := config.NewFileSecrets("SLUICE_Y", "/run/y", []config.Secret{config.NewSecret("a"), config.NewSecret("b")}, read, clock, log)
	for _, test := range []struct {
		content string
		header  string
		list    []string
	}{
		{"Bearer b\n", "Bearer b", []string{"a", "b"}}, // a header holds spaces, a secret none
		{"b, c\n", "b, c", []string{"b", "c"}},
		{"c", "c", []string{"c"}},
		{"", "c", []string{"c"}}, // the last good one stays
		{" , ", "c", []string{"c"}},
		{"d\ne\n", "c", []string{"c"}},
		{"d\n", "d", []string{"d"}},
	} {
		content, now = test.content, now.Add(time.Minute)
		if got := header.Reveal(); got != test.header {
			t.Errorf("%q: header is %q, want %q", test.content, got, test.header)
		}
		if got := list.Reveal(); !reflect.DeepEqual(got, test.list) {
			t.Errorf("%q: list is %q, want %q", test.content, got, test.list)
		}
	}
}
