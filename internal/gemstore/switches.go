package gemstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Switch breaks one thing.
type Switch struct {
	ID    string `json:"id"`
	Of    string `json:"of"` // provider or game
	Name  string `json:"name"`
	Means string `json:"means"`
	On    bool   `json:"on"`

	at     string // where the faults are on its control side; empty: /control/faults
	member string // of the faults
	value  any    // what it is when on
	off    any
}

// The things that are broken.
const (
	ofProvider = "provider"
	ofGame     = "game"
)

// webhookLost is the switch that purchases look at.
const webhookLost = "webhook_lost"

// slow is how long every call takes at a provider that is slow; limited is how many
// calls a minute one admits that limits.
const (
	slow    = "2s"
	limited = 20
)

// switches are all switches, off. rate is the limit the simulator has when none is set here.
func switches(rate int) []Switch {
	return []Switch{
		{ID: "provider_down", Of: ofProvider, Name: "Down", Means: "every connection is cut", member: "down", value: true, off: false},
		{ID: "provider_slow", Of: ofProvider, Name: "Slow", Means: "every call takes two seconds", member: "delay", value: slow, off: "0s"},
		{ID: "provider_lost", Of: ofProvider, Name: "Loses answers", Means: "it charges, and the answer never arrives", member: "lose_answer", value: 1.0, off: 0.0},
		{ID: "provider_limited", Of: ofProvider, Name: "Rate limit", Means: "20 calls a minute; Sluice learns it and keeps to it", member: "rate_per_minute", value: limited, off: rate},
		{ID: webhookLost, Of: ofProvider, Name: "Loses webhooks", Means: "nobody tells us of a purchase but the app itself", at: "/control/webhooks", member: "lose", value: 1.0, off: 0.0},
		{ID: "game_down", Of: ofGame, Name: "Dead", Means: "the game's server does not answer", member: "down", value: true, off: false},
		{ID: "game_refuses", Of: ofGame, Name: "Refuses", Means: "it refuses every item: the gems must go back", member: "refuse", value: true, off: false},
	}
}

func (s Switch) path() string { return cmp.Or(s.at, "/control/faults") }

func (s *Store) controlOf(of string) control {
	if of == ofGame {
		return s.game
	}
	return s.simulator
}

// readSwitches returns the switches of what is played here, as they are now, whoever
// set them.
func (s *Store) readSwitches(ctx context.Context) ([]Switch, error) {
	var list []Switch
	now := map[string]map[string]any{}
	for _, one := range switches(s.rate) {
		from := s.controlOf(one.Of)
		if from.base == "" {
			continue
		}
		place := one.Of + one.path()
		if now[place] == nil {
			var faults map[string]any
			if err := from.call(ctx, http.MethodGet, one.path(), nil, &faults); err != nil {
				return nil, fmt.Errorf("switches of the %s: %w", one.Of, err)
			}
			if inner, nested := faults["faults"].(map[string]any); nested {
				faults = inner
			}
			now[place] = faults
		}
		one.On = jsonText(now[place][one.member]) == jsonText(one.value)
		list = append(list, one)
	}
	return list, nil
}

// on reports whether a switch is on.
func (s *Store) on(ctx context.Context, id string) (bool, error) {
	list, err := s.readSwitches(ctx)
	return slices.ContainsFunc(list, func(one Switch) bool { return one.ID == id && one.On }), err
}

func jsonText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil { // scalars always encode
		panic(err)
	}
	return string(raw)
}

// flip turns a switch on or off.
func (s *Store) flip(ctx context.Context, id string, on bool) error {
	for _, one := range switches(s.rate) {
		if one.ID != id {
			continue
		}
		value := one.off
		if on {
			value = one.value
		}
		return s.controlOf(one.Of).call(ctx, http.MethodPatch, one.path(), map[string]any{one.member: value}, nil)
	}
	return fmt.Errorf("there is no switch %q", id)
}

// repair turns every switch off.
func (s *Store) repair(ctx context.Context) error {
	for _, one := range switches(s.rate) {
		if s.controlOf(one.Of).base == "" {
			continue
		}
		if err := s.flip(ctx, one.ID, false); err != nil {
			return err
		}
	}
	return nil
}
