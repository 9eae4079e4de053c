package main

import (
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/internal/console"
	"github.com/sluice-gems/sluice/internal/gemstore"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// greet prints where everything is, and commands to paste.
func (s *devStack) greet(io stdio, addr string) {
	api := "http://" + addr
	token, err := signSession(s.config.Session, devPlayer, devTokenTTL)
	if err != nil {
		s.log.Error("sign session", "error", err)
		return
	}
	provider := s.config.RevenueCat.URL.String()
	if s.sim != nil {
		provider += "   (simulator; controls: http://" + s.simAt + "/control)"
	}
	game := strings.Join(endpointNames(s.config.HandOver), ", ") + " (SLUICE_HANDOVER_URL)"
	if s.gameAt != "" {
		game = s.state.GameURL + "   (sample game; controls: http://" + s.gameAt + "/control; what it holds: /control/players/" + devPlayer + ")"
	}
	_, _ = fmt.Fprintf(io.Out, `
Sluice is ready.
%s
  API         %s   (documented at /docs)
  Console     %s   (%s)
  RevenueCat  %s
  Game        %s
  PostgreSQL  %s
  NATS        %s
  Data        %s   (other commands find this site by SLUICE_DATA_DIR)

A session token of %s, valid for %.0f hours:

  TOKEN=%s

Spend 50 gems, then look at what it bought:

  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
       -d '{"item":"extra_life","idempotencyKey":"first-tap"}' %s/spend
  curl -s -H "Authorization: Bearer $TOKEN" %s/inventory

guild_banner is an item that the game's own server hands over.

`, s.greetStore(api), api, api+console.Path, s.greetKey(), provider, game, s.config.Database.URL, s.config.NATS.URL, s.config.DataDir, devPlayer, devTokenTTL.Hours(), token, api, api)
	if key := s.config.Keys.Server[0].Reveal(); key == s.state.ServerKey { // one of the settings is not ours to show
		_, _ = fmt.Fprintf(io.Out, `Grant gems as the game's server does:

  curl -s -H "Authorization: Bearer %s" -H 'Content-Type: application/json' \
       -d '{"app_user_id":"%s","adjustments":{"GEM":100},"reason":"quest","idempotency_key":"first-quest"}' %s/grants

`, key, devPlayer, api)
	}
	if s.sim != nil {
		s.greetBuyer(io, api)
		s.greetSender(io)
		_, _ = fmt.Fprintf(io.Out, "Give any player gems:\n\n  curl -s -d '{\"balances\":{\"GEM\":1000}}' http://%s/control/customers/player_2\n\n", s.simAt)
	}
	s.greetBreaker(io)
}

// greetKey says how to log in to the console, unless the settings name the keys: those
// are not ours to show.
func (s *devStack) greetKey() string {
	if keys := s.config.Keys.Admin; len(keys) != 1 || keys[0].Key.Reveal() != s.state.AdminKey {
		return "its keys: SLUICE_ADMIN_KEYS"
	}
	return "key: " + s.state.AdminKey
}

// greetStore is the line of the gem store, as far as there is one.
func (s *devStack) greetStore(api string) string {
	if s.sim == nil {
		return ""
	}
	return "\n  Store       " + api + gemstore.Path + "   (buy gems, spend them, break things: open it in a browser)"
}

// greetBuyer prints how to buy something with money, as far as a webhook will tell of it.
func (s *devStack) greetBuyer(io stdio, api string) {
	ware := s.demoWare()
	if !s.config.Webhook.Enabled || ware.Identifier == "" {
		return
	}
	_, _ = fmt.Fprintf(io.Out, `Buy with money, as the store and RevenueCat's webhooks would tell it:

  curl -s -d '{"customer":"%s","product":"%s","store":"%s"}' http://%s/control/buy
  curl -s -H "Authorization: Bearer $TOKEN" %s/wallet

`, devPlayer, ware.Identifier, ware.Store, s.simAt, api)
}

// greetSender prints how to send a webhook of one's own: the simulator knows what proves it.
func (s *devStack) greetSender(io stdio) {
	if s.config.Webhook.Enabled {
		_, _ = fmt.Fprintf(io.Out, "Send a webhook of your own, signed as RevenueCat's are (the simulator's controls show one to paste):\n\n  curl -s -d @event.json http://%s/control/events\n\n", s.simAt)
	}
}

// greetBreaker prints how to break what the roles call, as far as it is ours to break.
func (s *devStack) greetBreaker(io stdio) {
	var lines []string
	for _, one := range []struct{ at, fault string }{{s.simAt, "down"}, {s.gameAt, "refuse"}} {
		if one.at != "" {
			lines = append(lines, fmt.Sprintf("  curl -s -X PATCH -d '{%q:true}' http://%s/control/faults\n", one.fault, one.at))
		}
	}
	if len(lines) > 0 {
		_, _ = fmt.Fprintf(io.Out, "Break things, and mend them with false (the controls above show every fault):\n\n%s\n", strings.Join(lines, ""))
	}
}

// demoWare is what the banner offers: something that brings currency, if there is any.
func (s *devStack) demoWare() simulator.Product {
	var first simulator.Product
	for _, ware := range s.wares {
		if len(ware.Credits) > 0 && ware.Lasts == 0 {
			return ware
		}
		if first.Identifier == "" {
			first = ware
		}
	}
	return first
}
