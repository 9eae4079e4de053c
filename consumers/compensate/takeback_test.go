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
	refund error
	did    []string
}

func (s *scripted) Spend(context.Context, string) (economy.Spend, error) { return s.spend, nil }

func (s *scripted) Catalog(context.Context, int64) (economy.Catalog, error) {
	return economy.Catalog{Items: map[string]economy.Item{"sword": {ID: "sword", HandOver: economy.HandOver{Port: s.port, Endpoint: "game"}}}}, nil
}

func (s *scripted) Revoke(context.Context, string, economy.Spend) handover.Outcome {
	s.did = append(s.did, "revoke")
	return s.says
}

func (s *scripted) Commit(_ context.Context, effects outbox.Effects) (outbox.Result, error) {
	settled := effects.Guard.(books.SettleHandOver)
	if settled.Spend.RevokedAt.IsZero() || settled.Spend.State != economy.Refunding {
		return 0, errors.New("not the mark that was wanted")
	}
	s.did = append(s.did, "mark")
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
