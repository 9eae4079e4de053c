package economy_test

import (
	"testing"

	"github.com/sluice-gems/sluice/economy"
)

func TestKeptForEveryState(t *testing.T) {
	t.Parallel()
	keep := func(s economy.Spend) economy.Change { return economy.Kept(s, now) }
	for _, state := range economy.States {
		w := expect{}
		if state == economy.Refunding {
			w = expect{economy.Fulfilled, "", economy.EntryFulfil, economy.InFlight, economy.Sink, false}
		}
		check(t, "kept", state, keep, w)
	}
	if c := keep(spendIn(economy.Refunding)); c.Spend.FinishedAt != now || c.Grant != nil {
		t.Errorf("finished at %s, grant %v", c.Spend.FinishedAt, c.Grant)
	}
	other := spendIn(economy.Refunding)
	other.Reason, other.NeedsOperator = "an operator took it back", ""
	if c := keep(other); c.Spend.State != economy.Refunding || c.Spend.NeedsOperator == "" || len(c.Entries) != 0 {
		t.Errorf("a spend that was fulfilled before is fulfilled again: %+v", c)
	}
}

// Once taken back, never kept: the player is owed the cost.
func TestTakenBackForEveryState(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		c := economy.TakenBack(spendIn(state), now)
		if state != economy.Refunding {
			if !c.Empty() {
				t.Errorf("%s: got %+v, want no change", state, c)
			}
			continue
		}
		if c.From != state || c.Spend.State != state || c.Spend.RevokedAt != now || len(c.Entries) != 0 || c.Release || c.Grant != nil {
			t.Errorf("a mark moved something: %+v", c)
		}
		for what, again := range map[string]economy.Change{"taken back": economy.TakenBack(c.Spend, now), "kept": economy.Kept(c.Spend, now)} {
			if !again.Empty() {
				t.Errorf("%s after it was taken back: %+v", what, again)
			}
		}
		refund := economy.SettleRefund(c.Spend, economy.Outcome{Kind: economy.Applied}, now)
		if refund.Spend.State != economy.Refunded || refund.Spend.RevokedAt != now {
			t.Errorf("the refund forgets it: %+v", refund.Spend)
		}
	}
}
