package compensate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// scripted is everything around the consumer, and what happened, in order.
type scripted struct {
	spend  economy.Spend
	port   string
	says   handover.Outcome
	commit outbox.Result
	ask    outbox.Result
	full   bool          // the lane sends nothing
	after  economy.State // how the spend is after a stale mark; empty: as before
	refund error
	did    []string
}

func (s *scripted) Spend(context.Context, string) (economy.Spend, error) { return s.spend, nil }

func (s *scripted) Catalog(context.Context, int64) (economy.Catalog, error) {
	return economy.Catalog{Items: map[string]economy.Item{"sword": {ID: "sword", HandOver: economy.HandOver{Port: s.port, Endpoint: "game"}}}}, nil
}

func (s *scripted) Revoke(_ context.Context, _ string, _ economy.Spend, before func() bool) handover.Outcome {
	if s.full || before != nil && !before() {
		return handover.Outcome{Kind: handover.Later}
	}
	s.did = append(s.did, "revoke")
	return s.says
}

func (s *scripted) Commit(_ context.Context, effects outbox.Effects) (outbox.Result, error) {
	if _, asks := effects.Guard.(books.AskRevoke); asks {
		s.did = append(s.did, "write down")
		return s.ask, nil
	}
	settled := effects.Guard.(books.SettleHandOver)
	if settled.Spend.RevokedAt.IsZero() || settled.Spend.State != economy.Refunding {
		return 0, errors.New("not the mark that was wanted")
	}
	s.did = append(s.did, "mark")
	if s.after != "" {
		s.spend.State = s.after
	}
	return s.commit, nil
}

func (s *scripted) Refund(context.Context, economy.Spend) error {
	s.did = append(s.did, "credit")
	return s.refund
}

// The credit comes after the mark, the mark after the game's word, and nothing else
// leads to a credit.
func TestNothingIsCreditedBeforeTheGameHasRevoked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	credited, asked := []string{"revoke", "mark", "credit"}, []string{"revoke"}
	for _, c := range []struct {
		name   string
		port   string
		marked bool
		says   handover.Kind
		commit outbox.Result
		did    []string
		kept   bool
		fails  bool
	}{
		{name: "revoked", says: handover.Revoked, commit: outbox.Applied, did: credited},
		{name: "kept", says: handover.Granted, did: asked, kept: true},
		{name: "no answer", says: handover.Failed, did: asked, fails: true},
		{name: "not asked", says: handover.Later, did: asked, fails: true},
		{name: "an answer that means nothing", says: handover.None, did: asked, fails: true},
		{name: "somebody was faster", says: handover.Revoked, commit: outbox.Stale, did: []string{"revoke", "mark"}, fails: true},
		{name: "revoked before", marked: true, did: []string{"credit"}},
		{name: "our inventory", port: economy.HandOverInventory, did: []string{"credit"}},
		{name: "always refused", port: economy.HandOverRefuse, did: []string{"credit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{port: c.port, says: handover.Outcome{Kind: c.says, Reason: "used"}, commit: c.commit}
			if s.port == "" {
				s.port = economy.HandOverHTTP
			}
			s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", Cost: economy.Amounts{"GEM": 5}, State: economy.Refunding, Reason: economy.HandOverRefused}
			if c.marked {
				s.spend.RevokedAt = now
			}
			consumer := Consumer{Teller: s, Spends: s, Catalogs: s, Endpoints: s, Committer: s, Now: func() time.Time { return now }}
			effects, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", now))
			require.Equal(t, c.did, s.did)
			require.Equal(t, c.fails, err != nil, err)
			require.Equal(t, c.kept, effects.Guard != nil)
			if c.kept {
				settled := effects.Guard.(books.SettleHandOver)
				require.Equal(t, economy.Fulfilled, settled.Spend.State)
				require.Equal(t, "the game had granted the item and does not take it back: used", settled.Note)
				require.Len(t, effects.Notices, 1)
			}
		})
	}
}

// An operator may give a refund up until the game is asked, so that is on record first.
func TestAnOperatorsRefundIsWrittenDownBeforeTheGameIsAsked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for ask, did := range map[outbox.Result][]string{
		outbox.Applied: {"write down", "revoke", "mark", "credit"}, outbox.Stale: {"write down"},
	} {
		s := &scripted{port: economy.HandOverHTTP, says: handover.Outcome{Kind: handover.Revoked}, commit: outbox.Applied, ask: ask}
		s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", State: economy.Refunding, Reason: economy.OperatorRefund}
		consumer := Consumer{Teller: s, Spends: s, Catalogs: s, Endpoints: s, Committer: s, Now: func() time.Time { return now }}
		_, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", now))
		require.Equal(t, ask != outbox.Applied, err != nil)
		require.Equal(t, did, s.did)
	}
}

// While nothing is sent to the game, a refund may still be given up.
func TestAServerThatIsNotAskedIsNotWrittenDownAsAsked(t *testing.T) {
	t.Parallel()
	s := &scripted{port: economy.HandOverHTTP, full: true}
	s.spend = economy.Spend{ID: "s", AppUserID: "p", Item: "sword", State: economy.Refunding, Reason: economy.OperatorRefund}
	consumer := Consumer{Teller: s, Spends: s, Catalogs: s, Endpoints: s, Committer: s, Now: time.Now}
	_, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", time.Now()))
	require.Error(t, err, "it comes again")
	require.Empty(t, s.did)
}

// An operator settles a spend as granted while the game takes its item back: whoever
// paid for nothing is seen.
func TestAnItemTakenBackFromAFulfilledSpendNeedsAnOperator(t *testing.T) {
	t.Parallel()
	for _, reason := range []economy.Reason{economy.HandOverRefused, economy.OperatorRefund} {
		s := &scripted{
			port: economy.HandOverHTTP, says: handover.Outcome{Kind: handover.Revoked}, commit: outbox.Stale, ask: outbox.Applied, after: economy.Fulfilled,
		}
		s.spend = economy.Spend{ID: "s", AppUserID: "p", Kind: economy.KindSpend, Item: "sword", State: economy.Refunding, Reason: reason}
		consumer := Consumer{Teller: s, Spends: s, Catalogs: s, Endpoints: s, Committer: s, Now: time.Now}
		effects, err := consumer.Consume(t.Context(), events.NewSpendRefunding("s", "p", time.Now()))
		require.NoError(t, err)
		require.NotContains(t, s.did, "credit")
		settled := effects.Guard.(books.SettleHandOver)
		require.Equal(t, economy.Fulfilled, settled.From)
		require.Equal(t, economy.Fulfilled, settled.Spend.State)
		require.Equal(t, economy.TakenByGame, settled.Spend.NeedsOperator)
	}
}
