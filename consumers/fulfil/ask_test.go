package fulfil

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// scripted is everything around the consumer: one spend of one item, and what its
// endpoint says.
type scripted struct {
	spend        economy.Spend
	item         economy.HandOver
	grant, check handover.Outcome
	checked      bool
}

func (s *scripted) Spend(context.Context, string) (economy.Spend, error) { return s.spend, nil }

func (s *scripted) Catalog(context.Context, int64) (economy.Catalog, error) {
	return economy.Catalog{Items: map[string]economy.Item{"sword": {ID: "sword", HandOver: s.item}}}, nil
}

func (s *scripted) Grant(context.Context, string, economy.Spend) handover.Outcome { return s.grant }

func (s *scripted) Check(context.Context, string, economy.Spend) handover.Outcome {
	s.checked = true
	return s.check
}

// What an endpoint's answer leads to, within patience and after it.
func TestWhatAnEndpointSaysDecides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	failed := handover.Outcome{Kind: handover.Failed, Detail: "answered 503, which is not 200", After: time.Hour, Park: true}
	later := handover.Outcome{Kind: handover.Later, Detail: "busy", After: 3 * time.Second}
	for _, c := range []struct {
		name         string
		age          time.Duration // since the charge; patience is five minutes
		grant, check handover.Outcome
		state        economy.State // empty: the delivery comes again
		note         string
		after        time.Duration
		checked      bool
	}{
		{name: "granted", grant: handover.Outcome{Kind: handover.Granted}, state: economy.Fulfilled},
		{name: "granted late", age: time.Hour, grant: handover.Outcome{Kind: handover.Granted}, state: economy.Fulfilled},
		{name: "refused", grant: handover.Outcome{Kind: handover.Refused, Reason: "sold out"}, state: economy.Refunding, note: "the game refused the item: sold out"},
		{name: "refused without a word", grant: handover.Outcome{Kind: handover.Refused}, state: economy.Refunding, note: "the game refused the item: it gave no reason"},
		{name: "revoked before", grant: handover.Outcome{Kind: handover.Revoked}, state: economy.Refunding, note: "the game has this spend as revoked"},
		{name: "failed", age: time.Minute, grant: failed, after: 4 * time.Minute},
		{name: "failed, just in time", age: 5*time.Minute - 1, grant: failed, after: lastWaitMin},
		{name: "failed, and patience is over", age: 5 * time.Minute, grant: failed, check: failed, checked: true, state: economy.Refunding,
			note: "endpoint guild did not hand the item over within 5m0s: answered 503, which is not 200"},
		{name: "failed, and it never arrived", age: time.Hour, grant: failed, check: handover.Outcome{Kind: handover.None}, checked: true, state: economy.Refunding,
			note: "endpoint guild did not hand the item over within 5m0s: answered 503, which is not 200"},
		{name: "only its answer was lost", age: time.Hour, grant: failed, check: handover.Outcome{Kind: handover.Granted}, checked: true, state: economy.Fulfilled},
		{name: "not asked", age: time.Minute, grant: later, after: 3 * time.Second},
		{name: "not asked, whatever patience says", age: time.Hour, grant: later, after: 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{grant: c.grant, check: c.check, item: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "guild"}}
			s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", Quantity: 1, Cost: economy.Amounts{"GEM": 5}, State: economy.Charged, ChargedAt: now.Add(-c.age)}
			consumer := Consumer{Spends: s, Catalogs: s, Endpoints: s, Patience: 5 * time.Minute, Now: func() time.Time { return now }}
			effects, err := consumer.Consume(t.Context(), events.NewSpendCharged("s", "p", now))
			require.Equal(t, c.checked, s.checked)
			if c.state == "" {
				var told interface{ RetryAfter() time.Duration }
				require.ErrorAs(t, err, &told)
				require.Equal(t, c.after, told.RetryAfter())
				require.Nil(t, effects.Guard)
				return
			}
			require.NoError(t, err)
			if c.state == economy.Fulfilled {
				change := effects.Guard.(books.Move).Change
				require.Equal(t, economy.Fulfilled, change.Spend.State)
				require.Nil(t, change.Grant, "it lies in the game")
				require.Len(t, effects.Notices, 1)
				return
			}
			settled := effects.Guard.(books.SettleHandOver)
			require.Equal(t, economy.Refunding, settled.Spend.State)
			require.Equal(t, c.note, settled.Note)
			require.Equal(t, []events.Event{events.NewSpendRefunding("s", "p", now)}, effects.Events)
		})
	}
}

func TestAnItemsOwnPatienceCounts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := &scripted{grant: handover.Outcome{Kind: handover.Failed}, check: handover.Outcome{Kind: handover.Failed},
		item: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "guild", Patience: time.Hour}}
	s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", State: economy.Charged, ChargedAt: now.Add(-30 * time.Minute)}
	consumer := Consumer{Spends: s, Catalogs: s, Endpoints: s, Patience: time.Minute, Now: func() time.Time { return now }}
	_, err := consumer.Consume(t.Context(), events.NewSpendCharged("s", "p", now))
	require.Error(t, err)
	s.item.Patience = 29 * time.Minute
	effects, err := consumer.Consume(t.Context(), events.NewSpendCharged("s", "p", now))
	require.NoError(t, err)
	require.NotNil(t, effects.Guard)
}

// Items of our own inventory ask nobody: whatever has become of endpoints, they are
// granted in the commit that fulfils.
func TestOurInventoryAsksNobody(t *testing.T) {
	t.Parallel()
	s := &scripted{item: economy.HandOver{Port: economy.HandOverInventory}}
	s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", Quantity: 2, State: economy.Charged}
	consumer := Consumer{Spends: s, Catalogs: s, Endpoints: nil, Now: time.Now}
	effects, err := consumer.Consume(t.Context(), events.NewSpendCharged("s", "p", time.Now()))
	require.NoError(t, err)
	require.Equal(t, &economy.Grant{SpendID: "s", AppUserID: "p", Item: "sword", Quantity: 2}, effects.Guard.(books.Move).Grant)
	s.spend.State = economy.Fulfilled
	effects, err = consumer.Consume(t.Context(), events.NewSpendCharged("s", "p", time.Now()))
	require.NoError(t, err)
	require.IsType(t, outbox.Finish{}, effects.Guard)
}
