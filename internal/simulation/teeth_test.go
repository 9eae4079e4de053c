package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// teethMax is how many schedules may pass before a mistake is found.
const teethMax = 6000

// Mixes for mistakes that take some luck to find. Those with purchases cost only a
// player who buys currency between two attempts: one finds too little, the next
// does not.
var (
	purchases = faults{CommitLate: 0.3, TopUp: 0.05, all: true}
	unheard   = faults{Crash: 0.06, CallLost: 0.3, CallRefused: 0.4, all: true}
	bought    = faults{CallLost: 0.4, CallBroken: 0.2, CallStuck: 0.8, TopUp: 0.15, TakenBack: 0.15, Mirror: 0.15, SoleWriter: 1, all: true}
	poor      = faults{TakenBack: 0.1, PublishTwice: 0.3, all: true}
	operated  = faults{Cancel: 0.1, TakenBack: 0.1, TopUp: 0.05, Mirror: 0.05, Stall: 0.1, PublishTwice: 0.2, all: true}
	givenUp   = faults{Refund: 0.1, GiveUp: 0.1, GameLost: 0.3, GameLate: 0.3, PublishTwice: 0.2, Redelivered: 0.1, all: true}
	slow      = faults{Stall: 0.8, TopUp: 0.1, Redelivered: 0.2, all: true}
)

// The checks are worth what they find. Each of these mistakes is made on purpose,
// and must be found within teethMax schedules.
func TestMistakesMadeOnPurposeAreFound(t *testing.T) {
	t.Parallel()
	for _, mistake := range []struct {
		name   string
		faults faults
		wrong  mutation
	}{
		{"a fresh key per attempt", everything, mutation{provider: freshKeys(":charge"), unlooked: true}},
		{"a refund without a key of its own", everything, mutation{provider: freshKeys(":refund"), unlooked: true}},
		{"a key that was not stored", everything, mutation{provider: freshKeys("")}},
		{"bound after the call", everything, mutation{committer: bindLate}},
		{"bound after the call, found by the sums", everything, mutation{committer: bindLate, unlooked: true}},
		{"a move without its guard", everything, mutation{moveUnguarded: true}},
		{"settled without its guard", everything, mutation{settleUnguarded: true}},
		{"two open adjustments", everything, mutation{manyOpen: true}},
		{"the outbox row goes with the message", everything, mutation{doneAtPublish: true}},
		{"a republish under the same id", everything, mutation{republishSameID: true}},
		{"an unknown charge is taken for refused", everything, mutation{provider: unknownIsFailed}},
		{"an attempt nobody recorded is forgotten", unheard, mutation{turns: forget}},
		{"an old attempt's word counts", purchases, mutation{settleUnfenced: true}},
		{"a call outlasts its lease", slow, mutation{provider: endless}},
		{"what was refused together stays bound", staleKnowledge, mutation{committer: neverFree}},
		{"what was refused together stays bound and is bound again", staleKnowledge, mutation{committer: neverFree, bindBound: true}},
		{"what stepped aside is bound again", stuckKeys, mutation{bindBound: true}},
		{"the later half is charged first", staleKnowledge, mutation{turns: laterHalfFirst}},
		{"a refusal declines what was accepted after the call", staleKnowledge, mutation{committer: declineLater}},
		{"a refusal declines what is cheaper", staleKnowledge, mutation{committer: declineCheaper}},
		{"a reading settles while purchases are possible", bought, mutation{readAnyway: true}},
		{"another key after a conflict", stuckKeys, mutation{provider: keyAfterConflict, unlooked: true}},
		{"what stepped aside is charged under another key", stuckKeys, mutation{asideSetsFree: true}},
		{"an unknown charge never steps aside", stuckKeys, mutation{committer: neverAside}},
		{"what stepped aside still blocks", stuckKeys, mutation{asideBlocks: true}},
		{"an operator ignores a lease", stuckKeys, mutation{leaseBlind: true}},
		{"an operator's word is older than the last attempt", stuckKeys, mutation{oldWord: true}},
		{"a cancel while a call is under way", operated, mutation{cancelBlind: true}},
		{"a refund is given up while its item is asked back", givenUp, mutation{giveUpBlind: true}},
		{"a refund without a revoke", handOvers, mutation{endpoints: unrevoked}},
		{"a refund without a revoke, found by who has what", handOvers, mutation{endpoints: unrevoked, unlooked: true}},
		{"a check instead of a revoke", handOvers, mutation{endpoints: checkedOnly, unlooked: true}},
		{"a revoke without an answer is believed", handOvers, mutation{endpoints: noAnswerIsRevoked, unlooked: true}},
		{"an item that is kept is paid back", handOvers, mutation{endpoints: keptIsRevoked, unlooked: true}},
		{"a grant after a revoke is made", handOvers, mutation{gameForgets: true}},
		{"a yes is believed that was to be confirmed", handOvers, mutation{endpoints: believing}},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(teethMax) {
				if failure := schedule(t, seed, mistake.faults, mistake.wrong, nil, (*world).run); failure != "" {
					t.Logf("found by seed %d: %s", seed, failure)
					return
				}
			}
			t.Fatalf("not found in %d schedules", teethMax)
		})
	}
}

// Two workers read what waits; one is refused and declines on its evidence before
// the other has bound anything. That takes many who ask before anybody works, and
// somebody who works slowly.
func TestEvidenceOnWhatNoLongerWaitsIsFound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(teethMax) {
		if failure := schedule(t, seed, poor, mutation{turns: lateReads, besideUnseen: true}, nil, (*world).rush); failure != "" {
			t.Logf("found by seed %d: %s", seed, failure)
			return
		}
	}
	t.Fatalf("not found in %d schedules", teethMax)
}

// Evidence against dearer spends only, and not against those that cost as much,
// costs a call more and nothing else: the checks must not object.
func TestWhatIsNoMistakeIsNotFound(t *testing.T) {
	t.Parallel()
	met := 0
	for seed := range uint64(500) {
		require.Empty(t, schedule(t, seed, staleKnowledge, mutation{committer: declineDearer}, nil, func(w *world) {
			w.run()
			met += w.count["just as dear"]
		}), seed)
	}
	require.NotZero(t, met)
}
