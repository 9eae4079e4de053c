package simulation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChargedAtMostOnceWhateverGoesWrong(t *testing.T) { promise(t, 1600, everything) }

func TestChargedEndsInFulfilledOrRefundedWhoeverDies(t *testing.T) {
	promise(t, 1000, faults{
		Crash: 0.06, CommitLost: 0.1, CommitLate: 0.1, CommitFails: 0.1, CommitTwice: 0.1, ReadFails: 0.1,
		CallLost: 0.1, CallBusy: 0.1, PublishLost: 0.1, AckLost: 0.1, TopUp: 0.03, Stall: 0.05,
	})
}

func TestUnknownIsNotFailed(t *testing.T) {
	promise(t, 900, faults{
		CallLost: 0.4, CallBroken: 0.3, CallRefused: 0.3, CallNotSent: 0.1, Crash: 0.03, CommitFails: 0.1, CommitLost: 0.1,
		CommitLate: 0.1, TopUp: 0.08, Stall: 0.1, Redelivered: 0.03,
	})
}

func TestPostgreSQLIsTheTruthAndTheStreamMayGo(t *testing.T) {
	promise(t, 1000, faults{
		Wipe: 0.06, PublishLost: 0.5, PublishTwice: 0.2, AckLost: 0.3, Redelivered: 0.05, Crash: 0.02, CommitLost: 0.1, CallLost: 0.1,
	})
}

func TestOnePlayersSpendsAreChargedInTheOrderTheyWereAccepted(t *testing.T) {
	promise(t, 1000, faults{
		Redelivered: 0.08, PublishTwice: 0.3, PublishLost: 0.2, Crash: 0.03, CommitTwice: 0.1, CommitLate: 0.1,
		CallLost: 0.3, CallBusy: 0.2, TopUp: 0.05, Stall: 0.1,
	})
}

// Everything stands still for seconds between any two steps, and players buy
// currency meanwhile: what an attempt heard may be untrue by the time it is said.
func TestAnAttemptsWordCountsOnlyWhileItsLeaseLasts(t *testing.T) {
	promise(t, 800, slow)
}

// The copy of a balance is too high when the provider takes something back, or
// when a reading is late: spends are refused together and charged in halves.
func TestRefusedTogetherIsSplitInOrderAndDeclinedOnEvidenceOnly(t *testing.T) {
	promise(t, 700, staleKnowledge)
}

// A worker may act on what was true when it read, and is not any more.
func TestStaleReadsHarmNobody(t *testing.T) {
	promiseOf(t, 600, staleKnowledge, mutation{turns: lateReads}, (*world).rush)
}

func TestARushOfSpendsIsSplitInOrderAndDeclinedOnEvidenceOnly(t *testing.T) {
	promiseThat(t, 600, staleKnowledge, (*world).rush)
}

// The provider sees keys and will not say what came of them. Later spends pass,
// and what nobody can know waits for an operator, whose word is true.
func TestWhatStaysUnknownStepsAsideAndOnlyThatNeedsAnOperator(t *testing.T) {
	promise(t, 800, stuckKeys)
}

// Readings settle what is unknown for players whose balances only we move.
func TestReadingsSettleOnlyWhatTheyProve(t *testing.T) { promise(t, 600, readings) }

// Operators cancel what waits, take back what is fulfilled, and give that up, whatever
// else goes on.
func TestOperatorsActsKeepThePromises(t *testing.T) {
	promise(t, 800, faults{
		Cancel: 0.06, Refund: 0.06, GiveUp: 0.06, Hold: 0.02, CommitLost: 0.1, CommitLate: 0.1, CommitFails: 0.05, CommitTwice: 0.1, CallLost: 0.2, CallBusy: 0.1,
		TakenBack: 0.05, TopUp: 0.05, Mirror: 0.05, Crash: 0.03, PublishLost: 0.1, PublishTwice: 0.2, Redelivered: 0.03, Stall: 0.05,
		GameLost: 0.2, GameLate: 0.2, GameKeeps: 0.2, GameAway: 0.1,
	})
}

// A schedule that nothing happens in proves nothing.
func TestTheSchedulesMeetEverything(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, mix := range []faults{everything, staleKnowledge, stuckKeys, readings, handOvers} {
		for seed := range uint64(400) {
			require.Empty(t, schedule(t, seed, mix, mutation{}, nil, func(w *world) {
				w.run()
				for what, n := range w.count {
					count[what] += n
				}
			}))
		}
	}
	t.Log(count)
	for _, what := range []string{
		"a grant is given", "several spends are charged together", "several spends are adopted", "a refusal splits", "declined on evidence",
		"an adjustment steps aside", "what stepped aside is settled: applied", "what stepped aside is settled: insufficient",
		"what stepped aside is settled: refused", "settled by an operator", "settled by a reading: applied", "settled by a reading: refused",
		"sent away", "admitted and not called", "a request that arrives after its caller gave up", "the game keeps an item",
		"a spend is cancelled", "a cancel waits for a call", "a fulfilled spend is taken back", "a refund is given up", "a refund is given up too late",
	} {
		require.NotZero(t, count[what], what)
	}
}

// Nothing is free and nobody who paid has nothing, whatever becomes of the requests
// to the game's own server, and whenever they arrive.
func TestWhatTheGameHandsOverIsPaidForOrGivenBack(t *testing.T) { promise(t, 1000, handOvers) }

// A panic is a mistake of ours; the player it happened to must not stay in hand.
func TestPanicsKeepNobodyInHand(t *testing.T) {
	promise(t, 300, faults{CallPanics: 0.3, PublishTwice: 0.2, TopUp: 0.02})
}

// As long as no message is lost and no process dies, the sweeper has nothing to do
// but to publish what was parked: whoever sends a delivery away sees to its work.
func TestNobodyIsSentAwayWithoutSomebodyWhoLooksAgain(t *testing.T) {
	promiseThat(t, 700, faults{CallLost: 0.15, CommitTwice: 0.1, PublishTwice: 0.3, AckLost: 0.1}, func(w *world) {
		w.onlyParked, w.workers = true, w.workers[:1]
		w.run()
	})
}

// The provider has no time for one player, and tells so with short waits for ever.
// Another player's lost messages are found all the same.
func TestOnePlayersTroubleHoldsUpNoOther(t *testing.T) {
	promiseThat(t, 150, faults{PublishLost: 0.6}, func(w *world) {
		w.rc.away["anna"] = time.Second
		w.until(5*time.Minute, func() bool {
			done := len(w.intake) == 0
			for _, s := range w.db.spends {
				done = done && (s.AppUserID == "anna" || s.State.Final())
			}
			return done
		})
		w.rest()
	})
}

// Attempts and waits are kept in PostgreSQL for as long as it takes.
func TestHoursWithoutTheProviderEndWell(t *testing.T) {
	promiseThat(t, 8, faults{}, func(w *world) {
		w.calm = true
		for i, player := range players {
			w.rc.away[player] = time.Duration(i) * time.Second
		}
		for end := w.now().Add(90 * time.Minute); w.failure == "" && w.now().Before(end); {
			w.act()
		}
		w.rest()
	})
}

// What is found must be found again.
func TestASeedIsASchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		_, once := replay(t, seed, everything, mutation{}, (*world).run)
		_, again := replay(t, seed, everything, mutation{}, (*world).run)
		require.Equal(t, once, again, "seed %v", seed)
		require.Greater(t, len(once), 1000)
	}
}
