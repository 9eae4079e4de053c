package config_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/config"
)

// signing is a well-formed secret that begins with a letter's bytes.
func signing(letter string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

func TestEndpointsAreReadWithTheirSecrets(t *testing.T) {
	t.Parallel()
	c, err := config.Load(env(
		"SLUICE_HANDOVER_URL", "https://a.example/x?y=1,guild=http://b.example", "SLUICE_HANDOVER_CONFIRM", "guild",
		"SLUICE_HANDOVER_SECRETS", signing("a")+",guild="+signing("b")+",guild="+signing("c"),
	), os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(config.RoleWork); strings.Contains(err.Error(), "HANDOVER") {
		t.Error(err)
	}
	list := c.HandOver.Endpoints()
	if len(list) != 2 || list[0].Name != "game" || list[0].URL.Reveal() != "https://a.example/x?y=1" || list[0].Confirm ||
		len(list[0].Secrets) != 1 || list[0].Secrets[0].Reveal() != signing("a") {
		t.Errorf("the first: %+v", list)
	}
	if guild := list[1]; guild.Name != "guild" || !guild.Confirm || len(guild.Secrets) != 2 || guild.Secrets[1].Reveal() != signing("c") {
		t.Errorf("the second: %+v", guild)
	}
}

func TestProblemsOfEndpoints(t *testing.T) {
	t.Parallel()
	secrets := "SLUICE_HANDOVER_SECRETS (handover.secrets): "
	form := " is not whsec_ and the base64 of 24 to 64 bytes: write what this prints: echo whsec_$(openssl rand -base64 32)"
	for _, c := range []struct {
		name   string
		change func(*config.HandOver)
		want   string
	}{
		{"no secret", func(h *config.HandOver) { h.Secrets = nil },
			secrets + `has none of endpoint "game", whose requests must be signed: write game=whsec_...`},
		{"no address", func(h *config.HandOver) { h.URLs = nil },
			secrets + `entry 1 is of endpoint "game", which has no address: name it in SLUICE_HANDOVER_URL`},
		{"short secret", func(h *config.HandOver) { h.Secrets[0].Secret = config.NewSecret("whsec_aHVudGVyMg==") }, secrets + "entry 1" + form},
		{"no base64", func(h *config.HandOver) { h.Secrets[0].Secret = config.NewSecret("whsec_" + hunter2) }, secrets + "entry 1" + form},
		{"secret twice", func(h *config.HandOver) { h.Secrets = append(h.Secrets, h.Secrets[0]) },
			secrets + "entry 2 is the same secret as entry 1: an endpoint's secret is its own, keep one"},
		{"endpoint twice", func(h *config.HandOver) { h.URLs = append(h.URLs, h.URLs[0]) },
			`SLUICE_HANDOVER_URL (handover.url): entry 2: endpoint "game" appears twice: keep one`},
		{"not an address", func(h *config.HandOver) { h.URLs[0].URL = config.NewURL("ftp://u:" + hunter2 + "@h") },
			`SLUICE_HANDOVER_URL (handover.url): endpoint "game": write an address with https:// or http:// and a host, without a user, such as https://game.example.com/sluice`},
		{"confirm nobody", func(h *config.HandOver) { h.Confirm = []string{"gmae"} },
			`SLUICE_HANDOVER_CONFIRM (handover.confirm): endpoint "gmae" has no address: name it in SLUICE_HANDOVER_URL`},
		{"no patience", func(h *config.HandOver) { h.Patience = 0 },
			"SLUICE_HANDOVER_PATIENCE (handover.patience): 0s is not more than 0: write one such as 900s"},
		{"slow", func(h *config.HandOver) { h.Timeout = time.Minute },
			"SLUICE_HANDOVER_TIMEOUT (handover.timeout): 60s is not more than 0 and up to 10s, for which a worker that stops can wait: write one such as 5s"},
		{"nothing at once", func(h *config.HandOver) { h.Concurrency = 0 },
			"SLUICE_HANDOVER_CONCURRENCY (handover.concurrency): 0 is below 1: write one such as 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := good()
			bad.HandOver.URLs = []config.NamedURL{{Name: "game", URL: config.NewURL("https://game.example.com")}}
			bad.HandOver.Secrets = []config.NamedSecret{{Name: "game", Secret: config.NewSecret(signing("a"))}}
			if err := bad.Validate(config.RoleServe); err != nil {
				t.Fatal(err)
			}
			c.change(&bad.HandOver)
			if err := bad.Validate(config.RoleServe); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestEndpointsThatCannotBeReadNeverRepeatASecret(t *testing.T) {
	t.Parallel()
	_, err := config.Load(env("SLUICE_HANDOVER_URL", "Game=https://a.example", "SLUICE_HANDOVER_SECRETS", hunter2+","+hunter2+"="), os.ReadFile)
	want := "SLUICE_HANDOVER_URL (handover.url): entry 1: \"Game\" is no name of an endpoint: use up to 32 lower-case letters, digits, _ and -\n" +
		"SLUICE_HANDOVER_SECRETS (handover.secrets): entry 1 begins with whsec_ neither by itself nor after the name of an endpoint and =: write name=whsec_ and base64\n" +
		"SLUICE_HANDOVER_SECRETS (handover.secrets): entry 2 begins with"
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), hunter2) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
