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
	held := spendIn(economy.Refunding)
	held.Held = true
	if keep(held).Spend.Held {
		t.Error("a spend that is over is held")
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

// Only a spend that is fulfilled can have lost its item, and only a mark comes of it,
// which an operator takes off.
func TestGoneAfterAllForEveryState(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		s := spendIn(state)
		s.NeedsOperator, s.Kind = "", economy.KindSpend
		c := economy.GoneAfterAll(s)
		if state != economy.Fulfilled {
			if !c.Empty() {
				t.Errorf("%s: got %+v, want no change", state, c)
			}
			continue
		}
		if c.From != state || c.Spend.State != state || c.Spend.NeedsOperator != economy.TakenByGame || len(c.Entries) != 0 {
			t.Errorf("a mark moved something: %+v", c)
		}
		if again := economy.GoneAfterAll(c.Spend); !again.Empty() {
			t.Errorf("marked twice: %+v", again)
		}
		if back := economy.ThereAfterAll(c.Spend); back.From != state || back.Spend.State != state || back.Spend.NeedsOperator != "" || len(back.Entries) != 0 {
			t.Errorf("the mark stays: %+v", back)
		}
		if none := economy.ThereAfterAll(s); !none.Empty() {
			t.Errorf("without a mark: %+v", none)
		}
	}
}
