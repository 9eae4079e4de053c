package budget

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

func TestAnAdmittedCallIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	call, err := r.Admit(t.Context(), "p", false)
	require.NoError(t, err)
	require.Zero(t, r.calls.Load())
	require.Equal(t, economy.Applied, call.Adjust(t.Context(), debit("1:charge")).Kind)
	require.EqualValues(t, 1, r.calls.Load())
	require.Nil(t, call.attempt, "nothing is left to give back")
	call.Unused()
}

// The next has it while it is good, and the account after that.
func TestACallThatIsNotMadeGivesItsPermitBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	call, err := r.Admit(t.Context(), "p", false)
	require.NoError(t, err)
	mine := call.attempt.permit
	mine.good = r.budget.config.Now().Add(time.Hour)
	call.attempt.permit = mine
	call.Unused()
	call.Unused() // once
	next, err := r.budget.Take(t.Context(), domain, Live, "q")
	require.NoError(t, err)
	require.Equal(t, mine, next)

	next.good = r.budget.config.Now()
	next.Unused()
	require.Eventually(t, func() bool {
		list, _, err := r.budget.Status(t.Context())
		return err == nil && len(list) == 1 && list[0].Used == 0
	}, 10*time.Second, time.Millisecond)
}

// Preparing a call takes time. What may no longer start is not sent, and says when.
func TestWhatChangesBetweenAdmissionAndCallCounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*testing.T, *rig, *Call)
		kind   economy.OutcomeKind
		calls  int64
	}{
		{"the permit lapsed: another one is asked for", func(_ *testing.T, r *rig, c *Call) {
			c.attempt.permit.good = r.budget.config.Now()
		}, economy.Applied, 1},
		{"a pause came", func(t *testing.T, r *rig, _ *Call) {
			t.Helper()
			require.NoError(t, r.budget.Closed(t.Context(), domain, time.Hour))
		}, economy.Temporary, 0},
		{"the circuit opened", func(_ *testing.T, r *rig, _ *Call) { fail(r.budget) }, economy.Temporary, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			call, err := r.Admit(t.Context(), "p", false)
			require.NoError(t, err)
			test.change(t, r, call)
			outcome := call.Adjust(t.Context(), debit("1:charge"))
			assert.Equal(t, test.kind, outcome.Kind)
			assert.Equal(t, test.kind == economy.Temporary, outcome.RetryAfter > 0)
			assert.Equal(t, test.calls, r.calls.Load())
		})
	}
}

func TestAProbeThatIsNotSentIsFreeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fail(r.budget)
	dueNow(t, []*Budget{r.budget})
	probe, err := r.Admit(t.Context(), "p", false)
	require.NoError(t, err)
	_, err = r.Admit(t.Context(), "q", false)
	var notYet *NotYet
	require.ErrorAs(t, err, &notYet, "one at a time")
	require.Equal(t, whyProbing, notYet.Why)
	probe.Unused()
	again, err := r.Admit(t.Context(), "q", false)
	require.NoError(t, err)
	require.Equal(t, economy.Applied, again.Adjust(t.Context(), debit("1:charge")).Kind)
	require.False(t, r.budget.circuitOpen())
}

func TestARefundIsAdmittedAsOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.budget.Closed(t.Context(), domain, 900*time.Millisecond)) // so that all wait
	for refund, weight := range map[bool]Weight{true: Refund, false: Live} {
		go func() {
			if call, err := r.Admit(t.Context(), "p", refund); err == nil {
				call.Unused()
			}
		}()
		require.Eventually(t, func() bool {
			r.budget.mu.Lock()
			defer r.budget.mu.Unlock()
			return r.budget.desks[domain].line.calls()[weight] == 1
		}, 10*time.Second, time.Millisecond)
	}
}
