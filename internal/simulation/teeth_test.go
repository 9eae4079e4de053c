package simulation

import "testing"

// teethMax is how many schedules may pass before a mistake is found.
const teethMax = 3000

// Mixes for mistakes that take some luck to find. The first and the last cost only
// a player who buys currency between two attempts: one finds too little, the next
// does not.
var (
	purchases = faults{CommitLate: 0.3, TopUp: 0.02, all: true}
	unheard   = faults{Crash: 0.06, CallLost: 0.3, CallRefused: 0.4, all: true}
	slow      = faults{Stall: 0.8, TopUp: 0.05, Redelivered: 0.2, all: true}
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
