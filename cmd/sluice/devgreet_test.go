package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// TestTheGreetingShowsWhatCanBeSentAndBroken: as far as it is there.
func TestTheGreetingShowsWhatCanBeSentAndBroken(t *testing.T) {
	t.Parallel()
	const (
		send = "curl -s -d @event.json http://127.0.0.1:81/control/events"
		sim  = `curl -s -X PATCH -d '{"down":true}' http://127.0.0.1:81/control/faults`
		game = `curl -s -X PATCH -d '{"refuse":true}' http://127.0.0.1:82/control/faults`
	)
	for name, test := range map[string]struct {
		simulated, game, webhooks bool
		want                      []string
	}{
		"everything":          {true, true, true, []string{send, sim, game}},
		"no webhooks":         {true, true, false, []string{sim, game}},
		"a provider's own":    {false, true, true, []string{game}},
		"a game's own server": {true, false, true, []string{send, sim}},
		"both their own":      {false, false, true, nil},
	} {
		cfg := config.Default()
		cfg.Session.Secret, cfg.Webhook.Enabled = config.NewSecret(sessionSecret), test.webhooks
		cfg.Keys.Server = []config.Secret{config.NewSecret("key")}
		s := &devStack{config: cfg, log: slog.New(slog.DiscardHandler)}
		if test.simulated {
			s.sim, s.simAt = &simulator.Simulator{}, "127.0.0.1:81"
		}
		if test.game {
			s.gameAt = "127.0.0.1:82"
		}
		var out strings.Builder
		s.greet(stdio{Out: &out}, "127.0.0.1:80")
		require.Contains(t, out.String(), "A session token of player_1, valid for 24 hours:", name)
		for _, line := range []string{send, sim, game} {
			require.Equal(t, strings.Contains(strings.Join(test.want, "\n"), line), strings.Contains(out.String(), line), "%s: %s", name, line)
		}
		require.Equal(t, len(test.want) > 0, strings.Contains(out.String(), "Break things"), name)
	}
}
