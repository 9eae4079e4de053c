package economy_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

var (
	accepted = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now      = accepted.Add(time.Second)
	kinds    = []economy.OutcomeKind{economy.Applied, economy.Insufficient, economy.Refused, economy.Temporary, economy.Unknown}
)

// spendIn is a spend in a state, with every mark a step must clear.
func spendIn(state economy.State) economy.Spend {
	s := economy.Spend{
		ID: "s1", AppUserID: "ann", IdempotencyKey: "k1", Item: "blade", Quantity: 2,
		Cost: economy.Amounts{"GEM": 20, "GOLD": 400}, CatalogVersion: 3, State: state,
		UnknownSince: accepted, NeedsOperator: "charge of unknown outcome", AdjustmentID: "a1",
		AcceptedAt: accepted, Limited: true,
	}
	if state == economy.Refunding || state == economy.Refunded {
		s.Reason = economy.HandOverRefused
	}
	return s
}

// expect is what a step must lead to; the zero one changes nothing.
type expect struct {
	state    economy.State
	reason   economy.Reason
	entry    economy.EntryKind
	from, to economy.Account
	release  bool
}

func TestSettleForEveryStateAndOutcome(t *testing.T) {
	t.Parallel()
	want := map[economy.OutcomeKind]expect{
		economy.Applied:      {economy.Charged, "", economy.EntryCharge, economy.Wallet, economy.InFlight, false},
		economy.Insufficient: {state: economy.Declined, reason: economy.InsufficientFunds, release: true},
		economy.Refused:      {state: economy.Declined, reason: economy.ProviderRefused, release: true},
	}
	for _, state := range economy.States {
		for _, kind := range kinds {
			step := func(s economy.Spend) economy.Change { return economy.Settle(s, economy.Outcome{Kind: kind}, now) }
			w := want[kind]
			if state != economy.Requested {
				w = expect{}
			}
			check(t, string(kind), state, step, w)
		}
	}
	if got := economy.Settle(spendIn(economy.Requested), economy.Outcome{Kind: economy.Applied}, now).Spend; got.ChargedAt != now || !got.FinishedAt.IsZero() {
		t.Errorf("charged at %s, finished at %s", got.ChargedAt, got.FinishedAt)
	}
	for _, kind := range []economy.OutcomeKind{economy.Insufficient, economy.Refused} {
		if got := economy.Settle(spendIn(economy.Requested), economy.Outcome{Kind: kind}, now).Spend; got.FinishedAt != now || !got.ChargedAt.IsZero() {
			t.Errorf("%s: charged at %s, finished at %s", kind, got.ChargedAt, got.FinishedAt)
		}
	}
}

func TestHandedOverForEveryState(t *testing.T) {
	t.Parallel()
	grant := &economy.Grant{SpendID: "s1", AppUserID: "ann", Item: "blade", Quantity: 2}
	for _, g := range []*economy.Grant{grant, nil} {
		for _, state := range economy.States {
			w := expect{}
			if state == economy.Charged {
				w = expect{economy.Fulfilled, "", economy.EntryFulfil, economy.InFlight, economy.Sink, false}
			}
			step := func(s economy.Spend) economy.Change { return economy.HandedOver(s, g, now) }
			check(t, "handed over", state, step, w)
			if c := step(spendIn(state)); !c.Empty() && (c.Grant != g || c.Spend.FinishedAt != now) {
				t.Errorf("grant %v, finished %s", c.Grant, c.Spend.FinishedAt)
			}
		}
	}
}

func TestHandOverRefusedForEveryState(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		w := expect{}
		if state == economy.Charged {
			w = expect{state: economy.Refunding, reason: economy.HandOverRefused}
		}
		check(t, "refused", state, economy.HandOverRefusedFor, w)
	}
}

func TestSettleRefundForEveryStateAndOutcome(t *testing.T) {
	t.Parallel()
	for _, state := range economy.States {
		for _, kind := range kinds {
			step := func(s economy.Spend) economy.Change {
				return economy.SettleRefund(s, economy.Outcome{Kind: kind, Detail: "customer is gone"}, now)
			}
			w := expect{}
			switch {
			case state != economy.Refunding:
			case kind == economy.Applied:
				w = expect{economy.Refunded, economy.HandOverRefused, economy.EntryRefund, economy.InFlight, economy.Wallet, true}
			case kind == economy.Insufficient || kind == economy.Refused:
				checkNeedsOperator(t, step)
				continue
			}
			check(t, string(kind), state, step, w)
		}
	}
	if got := economy.SettleRefund(spendIn(economy.Refunding), economy.Outcome{Kind: economy.Applied}, now).Spend; got.FinishedAt != now {
		t.Errorf("finished at %s", got.FinishedAt)
	}
}

// checkNeedsOperator: a refund that is refused stays where it is, credits
// nothing, and says who is needed; the same answer again says the same.
func checkNeedsOperator(t *testing.T, step func(economy.Spend) economy.Change) {
	t.Helper()
	first := step(spendIn(economy.Refunding))
	if first.From != economy.Refunding || first.Spend.State != economy.Refunding || len(first.Entries) != 0 || first.Release {
		t.Errorf("a refused refund moved something: %+v", first)
	}
	if first.Spend.NeedsOperator != "the provider refused the refund: customer is gone" || !first.Spend.UnknownSince.IsZero() {
		t.Errorf("marks %q, %s", first.Spend.NeedsOperator, first.Spend.UnknownSince)
	}
	if second := step(first.Spend); !reflect.DeepEqual(first, second) {
		t.Errorf("the same answer again: %+v, first %+v", second, first)
	}
}

// check takes a step from a state, compares it, and takes it again.
func check(t *testing.T, what string, state economy.State, step func(economy.Spend) economy.Change, w expect) {
	t.Helper()
	before := spendIn(state)
	c := step(before)
	if !reflect.DeepEqual(before, spendIn(state)) {
		t.Errorf("%s, %s: the step changed its argument", state, what)
	}
	if w.state == "" {
		if !c.Empty() || !reflect.DeepEqual(c, economy.Change{}) {
			t.Errorf("%s, %s: got %+v, want no change", state, what, c)
		}
		return
	}
	s := c.Spend
	if c.From != state || s.State != w.state || s.Reason != w.reason || c.Release != w.release {
		t.Errorf("%s, %s: %s to %s, reason %q, release %v, want %+v", state, what, c.From, s.State, s.Reason, c.Release, w)
	}
	if !economy.CanMove(s.Kind, c.From, s.State) {
		t.Errorf("%s, %s: the table forbids %s", state, what, s.State)
	}
	if !s.UnknownSince.IsZero() || s.NeedsOperator != "" {
		t.Errorf("%s, %s: a settled step still has marks: %s, %q", state, what, s.UnknownSince, s.NeedsOperator)
	}
	if s.ID != before.ID || s.AppUserID != before.AppUserID || !s.Cost.Equal(before.Cost) || s.AdjustmentID != before.AdjustmentID {
		t.Errorf("%s, %s: became another spend: %+v", state, what, s)
	}
	checkEntries(t, c, w)
	if again := step(s); !again.Empty() {
		t.Errorf("%s, %s: a second call changes %+v", state, what, again)
	}
}

// checkEntries wants one entry per currency of the cost, each of its whole sum,
// in the order of the currencies, or none.
func checkEntries(t *testing.T, c economy.Change, w expect) {
	t.Helper()
	var want []economy.Entry
	if w.entry != "" {
		for _, currency := range []economy.Currency{"GEM", "GOLD"} {
			want = append(want, economy.Entry{
				SpendID: "s1", AppUserID: "ann", Kind: w.entry, Debit: w.from, Credit: w.to,
				Currency: currency, Amount: c.Spend.Cost[currency],
			})
		}
	}
	if len(c.Entries)+len(want) > 0 && !reflect.DeepEqual(c.Entries, want) {
		t.Errorf("entries %+v, want %+v", c.Entries, want)
	}
}

func TestTheBooksBalanceOnEveryRoad(t *testing.T) {
	t.Parallel()
	applied := economy.Outcome{Kind: economy.Applied}
	charge := func(s economy.Spend) economy.Change { return economy.Settle(s, applied, now) }
	handOver := func(s economy.Spend) economy.Change { return economy.HandedOver(s, nil, now) }
	refund := func(s economy.Spend) economy.Change { return economy.SettleRefund(s, applied, now) }
	decline := func(s economy.Spend) economy.Change {
		return economy.Settle(s, economy.Outcome{Kind: economy.Insufficient}, now)
	}
	takeBack := func(s economy.Spend) economy.Change { return economy.TakenBack(s, now) }
	keep := func(s economy.Spend) economy.Change { return economy.Kept(s, now) }
	type step = func(economy.Spend) economy.Change
	for _, c := range []struct {
		name                   string
		road                   []step
		wallet, inFlight, sink economy.Amount // in GEM, of a cost of 20
	}{
		{"declined", []step{decline}, 0, 0, 0},
		{"charged", []step{charge}, -20, 20, 0},
		{"fulfilled", []step{charge, handOver}, -20, 0, 20},
		{"refunding", []step{charge, economy.HandOverRefusedFor}, -20, 20, 0},
		{"refunded", []step{charge, economy.HandOverRefusedFor, refund}, 0, 0, 0},
		{"taken back and refunded", []step{charge, economy.HandOverRefusedFor, takeBack, keep, refund}, 0, 0, 0},
		{"kept after all", []step{charge, economy.HandOverRefusedFor, keep, takeBack, refund}, -20, 0, 20},
		{"everything twice", []step{charge, charge, economy.HandOverRefusedFor, economy.HandOverRefusedFor, handOver, refund, refund}, 0, 0, 0},
	} {
		s, books := spendIn(economy.Requested), make(map[economy.Account]economy.Amount)
		for _, step := range c.road {
			change := step(s)
			if change.Empty() {
				continue
			}
			s = change.Spend
			for _, e := range change.Entries {
				if e.Amount <= 0 || e.Debit == e.Credit {
					t.Errorf("%s: entry %+v", c.name, e)
				}
				if e.Currency == "GEM" {
					books[e.Debit] -= e.Amount
					books[e.Credit] += e.Amount
				}
			}
		}
		if books[economy.Wallet] != c.wallet || books[economy.InFlight] != c.inFlight || books[economy.Sink] != c.sink {
			t.Errorf("%s: books %v", c.name, books)
		}
	}
}

func TestAnOutcomeOutsideTheClosedSetPanics(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(){
		"charge": func() { economy.Settle(spendIn(economy.Requested), economy.Outcome{}, now) },
		"refund": func() { economy.SettleRefund(spendIn(economy.Refunding), economy.Outcome{Kind: "maybe"}, now) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			step()
		}()
	}
}

func TestOnlyADefiniteOutcomeEndsAnAdjustment(t *testing.T) {
	t.Parallel()
	for kind, want := range map[economy.OutcomeKind]bool{
		economy.Applied: true, economy.Insufficient: true, economy.Refused: true, economy.Temporary: false, economy.Unknown: false, "": false,
	} {
		if got := (economy.Outcome{Kind: kind}).Definite(); got != want {
			t.Errorf("%q is definite: %v", kind, got)
		}
	}
}

func TestOnlyALimitedSpendReleasesItsUse(t *testing.T) {
	t.Parallel()
	s := spendIn(economy.Requested)
	s.Limited = false
	if economy.Settle(s, economy.Outcome{Kind: economy.Insufficient}, now).Release {
		t.Error("released what was never counted")
	}
}
