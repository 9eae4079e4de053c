package economy_test

import (
	"slices"
	"testing"

	"github.com/sluice-gems/sluice/economy"
)

// The road is written out here once more, so that a change of the table alone
// does not pass: every pair of states, allowed or forbidden.
func TestEveryPairOfStatesIsAllowedOrForbidden(t *testing.T) {
	t.Parallel()
	allowed := map[economy.State][]economy.State{
		economy.Requested: {economy.Charged, economy.Declined},
		economy.Charged:   {economy.Fulfilled, economy.Refunding},
		economy.Fulfilled: {economy.Refunding},
		economy.Declined:  {},
		economy.Refunding: {economy.Refunded},
		economy.Refunded:  {},
	}
	if len(economy.States) != len(allowed) {
		t.Errorf("states %v", economy.States)
	}
	states := append(slices.Clone(economy.States), "", "unheard_of")
	for _, from := range states {
		for _, to := range states {
			if want := slices.Contains(allowed[from], to); economy.CanMove(from, to) != want {
				t.Errorf("%q to %q: want allowed %v", from, to, want)
			}
		}
	}
}

func TestFinalStatesAreThoseThePlayerStopsWaitingAt(t *testing.T) {
	t.Parallel()
	final := []economy.State{economy.Fulfilled, economy.Declined, economy.Refunded}
	for _, state := range economy.States {
		if state.Final() != slices.Contains(final, state) {
			t.Errorf("%s is final: %v", state, state.Final())
		}
	}
}

func TestASpendIsNamedWithoutItsPlayer(t *testing.T) {
	t.Parallel()
	if got := (economy.Spend{ID: "s1", AppUserID: "ann", State: economy.Charged}).String(); got != "spend s1 (charged)" {
		t.Error(got)
	}
}

func TestTheSameRequestIsWhatTheClientSentNotThePrice(t *testing.T) {
	t.Parallel()
	s := economy.Spend{Item: "potion", Quantity: 2, Cost: economy.Amounts{"GEM": 100}}
	if !s.SameRequest("potion", 2) || s.SameRequest("potion", 3) || s.SameRequest("hat", 2) {
		t.Error("a request is its item and quantity")
	}
}
