package adjust_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

const spendID = "01980000-0000-7000-8000-000000000001"

// scripted is everything around the consumer, and what happened, in order.
type scripted struct {
	lately bool // the spend was settled here, together with another
	err    error
	spend  economy.Spend
	did    []string
}

func (s *scripted) Charge(context.Context, string) ([]string, error) {
	s.did = append(s.did, "charge")
	return nil, s.err
}

func (s *scripted) Resolve(context.Context, economy.Spend) error {
	s.did = append(s.did, "resolve")
	return nil
}

func (s *scripted) Settled(string) bool { return s.lately }

func (s *scripted) PassedOver(string) { s.did = append(s.did, "look again from the start") }

func (s *scripted) Spend(context.Context, string) (economy.Spend, error) {
	s.did = append(s.did, "read")
	return s.spend, nil
}

// What becomes of a delivery whose spend its own look did not settle.
func TestADeliveryEndsOnlyWhenItsSpendIsSettled(t *testing.T) {
	t.Parallel()
	requested := economy.Spend{ID: spendID, AppUserID: "p", State: economy.Requested}
	held, unknown, charged := requested, requested, requested
	held.Held, unknown.UnknownSince, charged.State = true, time.Unix(1, 0), economy.Charged
	for name, test := range map[string]struct {
		script   scripted
		did      []string
		finished bool          // in the database, by a commit of its own
		after    time.Duration // of the retry; -1: there is none
		tried    bool
	}{
		"settled with another: nothing is read":    {scripted{lately: true}, nil, false, -1, false},
		"another worker has the player in hand":    {scripted{err: adjustments.ErrInHand}, []string{"charge"}, false, -1, false},
		"settled by another process":               {scripted{spend: charged}, []string{"charge", "read"}, true, -1, false},
		"its adjustment stepped aside":             {scripted{spend: unknown}, []string{"charge", "read", "resolve"}, false, -1, false},
		"an operator holds it":                     {scripted{spend: held}, []string{"charge", "read"}, false, 15 * time.Second, true},
		"it waits, and was passed over by looks":   {scripted{spend: requested}, []string{"charge", "read", "look again from the start"}, false, 0, false},
		"the provider gives no answer to a charge": {scripted{err: &adjustments.Retry{After: time.Second, Err: context.Canceled}}, []string{"charge"}, false, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := test.script
			effects, err := adjust.Consumer{Teller: &script, Spends: &script}.Consume(t.Context(), events.NewSpendRequested(spendID, "p", time.Unix(0, 0)))
			require.Equal(t, test.did, script.did)
			require.Equal(t, test.finished, effects.Guard == outbox.Finish{EventID: spendID + ".requested", Consumer: "adjust"})
			if test.after < 0 {
				require.NoError(t, err)
				return
			}
			var retry *adjustments.Retry
			require.ErrorAs(t, err, &retry)
			require.Equal(t, test.after, retry.After)
			require.Equal(t, test.tried, !retry.NotTried())
		})
	}
}
