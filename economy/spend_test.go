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
	allowed := map[economy.Kind]map[economy.State][]economy.State{
		economy.KindSpend: {
			economy.Requested: {economy.Charged, economy.Declined},
			economy.Charged:   {economy.Fulfilled, economy.Refunding},
			economy.Fulfilled: {economy.Refunding},
			economy.Declined:  {},
			economy.Refunding: {economy.Refunded, economy.Fulfilled},
			economy.Refunded:  {},
		},
		economy.KindGrant: {economy.Requested: {economy.Fulfilled, economy.Declined}},
	}
	if len(economy.States) != len(allowed[economy.KindSpend]) || len(economy.Kinds) != len(allowed) {
		t.Errorf("states %v, kinds %v", economy.States, economy.Kinds)
	}
	states := append(slices.Clone(economy.States), "", "unheard_of")
	for _, kind := range append(slices.Clone(economy.Kinds), "unheard_of") {
		for _, from := range states {
			for _, to := range states {
				if want := slices.Contains(allowed[kind][from], to); economy.CanMove(kind, from, to) != want {
					t.Errorf("%s, %q to %q: want allowed %v", kind, from, to, want)
				}
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
	if got := (economy.Spend{ID: "g1", Kind: economy.KindGrant, AppUserID: "ann", Note: "for ann", State: economy.Requested}).String(); got != "grant g1 (requested)" {
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

func TestTheSameGrantIsAllThatTheServerSent(t *testing.T) {
	t.Parallel()
	g := economy.Spend{Kind: economy.KindGrant, Quantity: 1, Cost: economy.Amounts{"GEM": 100}, Note: "quest"}
	if !g.SameGrant(economy.Amounts{"GEM": 100}, "quest") || g.SameGrant(economy.Amounts{"GEM": 101}, "quest") || g.SameGrant(economy.Amounts{"GEM": 100}, "") {
		t.Error("a grant is its amounts and its reason")
	}
	if g.SameRequest("", 1) || (economy.Spend{Cost: g.Cost, Note: g.Note}).SameGrant(g.Cost, g.Note) {
		t.Error("a spend and a grant are never the same request")
	}
}
