package economy_test

import (
	"testing"

	"github.com/sluice-gems/sluice/economy"
)

func grantIn(state economy.State) economy.Spend {
	g := spendIn(state)
	g.Kind, g.Item, g.Quantity, g.Limited, g.Note = economy.KindGrant, "", 1, false, "quest"
	return g
}

func TestSettleGrantForEveryStateAndOutcome(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		for _, kind := range kinds {
			outcome := economy.Outcome{Kind: kind}
			before := grantIn(state)
			c := economy.SettleGrant(before, outcome, now)
			switch {
			case state != economy.Requested || !outcome.Definite():
				if !c.Empty() {
					t.Errorf("%s, %s: got %+v, want no change", state, kind, c)
				}
				continue
			case kind == economy.Applied:
				checkGranted(t, c)
			case c.Spend.State != economy.Declined || c.Spend.Reason != economy.ProviderRefused || len(c.Entries) != 0:
				t.Errorf("%s: got %+v, want it declined", kind, c)
			}
			if c.From != state || c.Spend.FinishedAt != now || !c.Spend.ChargedAt.IsZero() || c.Release || c.Grant != nil {
				t.Errorf("%s: got %+v", kind, c)
			}
			if !c.Spend.UnknownSince.IsZero() || c.Spend.NeedsOperator != "" {
				t.Errorf("%s: a settled step still has marks", kind)
			}
			if again := economy.SettleGrant(c.Spend, outcome, now); !again.Empty() {
				t.Errorf("%s: a second call changes %+v", kind, again)
			}
		}
	}
}

// What a grant gives comes from issuance, currency by currency: the books balance.
func checkGranted(t *testing.T, c economy.Change) {
	t.Helper()
	if c.Spend.State != economy.Fulfilled || c.Spend.Reason != "" || len(c.Entries) != 2 {
		t.Fatalf("got %+v, want it fulfilled", c)
	}
	for i, currency := range []economy.Currency{"GEM", "GOLD"} {
		want := economy.Entry{
			SpendID: "s1", AppUserID: "ann", Kind: economy.EntryGrant,
			Debit: economy.Issuance, Credit: economy.Wallet, Currency: currency, Amount: c.Spend.Cost[currency],
		}
		if c.Entries[i] != want {
			t.Errorf("entry %+v, want %+v", c.Entries[i], want)
		}
	}
}

// A step of one kind never settles the other, whatever the state and outcome.
func TestAGrantIsNeverChargedAndASpendNeverGranted(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		for _, kind := range kinds {
			outcome := economy.Outcome{Kind: kind}
			if c := economy.Settle(grantIn(state), outcome, now); !c.Empty() {
				t.Errorf("a grant was charged: %+v", c)
			}
			if c := economy.SettleGrant(spendIn(state), outcome, now); !c.Empty() {
				t.Errorf("a spend was granted: %+v", c)
			}
		}
	}
	// The later steps begin at states that a grant cannot reach.
	for _, transition := range economy.Transitions[economy.KindGrant] {
		if transition.To == economy.Charged || transition.To == economy.Refunding || transition.From != economy.Requested {
			t.Errorf("a grant may go from %s to %s", transition.From, transition.To)
		}
	}
}

func TestAGrantWithAnOutcomeOutsideTheClosedSetPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("did not panic")
		}
	}()
	economy.SettleGrant(grantIn(economy.Requested), economy.Outcome{Kind: "maybe"}, now)
}
