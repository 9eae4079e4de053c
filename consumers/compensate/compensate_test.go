package compensate

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// remembering tells once of a spend what it was, then what it is.
type remembering struct {
	*scripted
	asked int
}

func (r *remembering) Spend(ctx context.Context, id string) (economy.Spend, error) {
	r.asked++
	spend, err := r.scripted.Spend(ctx, id)
	if r.asked == 1 {
		spend.State, spend.Reason = economy.Charged, ""
	}
	return spend, err
}

// A process that remembers a spend as charged, which another one has found refunding
// since, gives its cost back all the same.
func TestWhatIsRememberedOfASpendEndsNoRefund(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := &scripted{spend: economy.Spend{ID: "s", AppUserID: "p", Item: "sword", State: economy.Refunding, RevokedAt: now}}
	consumer := Consumer{Teller: s, Spends: &remembering{scripted: s}, Catalogs: s, Endpoints: s, Committer: s, Now: func() time.Time { return now }}
	effects, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", now))
	require.NoError(t, err)
	require.Nil(t, effects.Guard)
	require.Equal(t, []string{"credit"}, s.did)
}

// No call is begun for what an operator holds, neither to revoke nor to credit.
func TestAHeldRefundWaits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := &scripted{port: economy.HandOverHTTP, spend: economy.Spend{ID: "s", AppUserID: "p", Item: "sword", State: economy.Refunding, Held: true}}
	consumer := Consumer{Teller: s, Spends: s, Catalogs: s, Endpoints: s, Committer: s, Now: func() time.Time { return now }}
	_, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", now))
	require.ErrorContains(t, err, "is held")
	require.Empty(t, s.did)
}
