package backfill_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// brought are the units of each item that purchases bring.
func brought(t *testing.T, db *sqlx.DB) map[string]int64 {
	t.Helper()
	items := map[string]int64{}
	folds(t, db, func(holdings economy.Holdings) {
		for _, grant := range holdings.Grants {
			if grant.Kind == economy.GrantedItem {
				items[grant.Name] += grant.Quantity
			}
		}
	})
	return items
}

// The first day of a game that sold bombs for years: players threw them long ago.
func TestConsumablesFromBeforeTheCutOffAreNeverHandedOver(t *testing.T) {
	t.Parallel()
	dir := folder(t, 400)
	everything := backfill.Command{Feed: exports.Transactions, URLs: []string{dir}}
	cut := everything
	cut.UsedUpBefore = start.AddDate(-1, 0, 0)
	var all map[string]int64
	t.Run("without a cut-off all are handed over", func(t *testing.T) {
		db := testenv.Postgres(t)
		sell(t, db)
		answer, _ := rehearse(t, db, everything)
		_, err := runCommand(t.Context(), newEngine(db), everything)
		require.NoError(t, err)
		all = brought(t, db)
		require.Equal(t, all["bomb"]+all["hat"], answer.Total.Items)
		require.Equal(t, all["bomb"], answer.Total.Consumables)
		require.False(t, answer.ConsumablesSince.IsZero())
		require.Positive(t, answer.Total.Unknown, "gems of other sizes are not in the catalogue")
	})
	t.Run("with one", func(t *testing.T) {
		db := testenv.Postgres(t)
		sell(t, db)
		live := newRecorder(t, db) // one old purchase is known: it has brought its bombs
		rows := facts(t, dir)
		for _, s := range rows {
			if s.Fact.Product == "com.example.gems.100" && s.Fact.PurchasedAt.Before(cut.UsedUpBefore) && s.Fact.Key.Environment == economy.Production &&
				s.Fact.Key.Store != economy.PromotionalStore && s.Fact.Ownership == economy.OwnershipPurchased && (s.Fact.Refund == nil || s.Fact.Refund.At.IsZero()) {
				live.record(t, s, events.Store)
				break
			}
		}
		require.Equal(t, map[string]int64{"bomb": 3}, brought(t, db))

		answer, _ := rehearse(t, db, cut)
		_, err := runCommand(t.Context(), newEngine(db), cut)
		require.NoError(t, err)
		some := brought(t, db)
		require.Equal(t, all["hat"], some["hat"], "what lasts is theirs")
		require.Greater(t, some["bomb"], int64(3))
		require.Less(t, some["bomb"], all["bomb"])
		require.Equal(t, some["bomb"]-3+some["hat"], answer.Total.Items)
		require.Equal(t, all["bomb"]-some["bomb"], answer.Total.UsedUp)

		// Told of again: by the same files without a cut-off, by webhooks, by refunds that are taken back.
		_, err = runCommand(t.Context(), newEngine(db), everything)
		require.NoError(t, err)
		for i, s := range rows {
			s.Fact.Source, s.Fact.By, s.Fact.Kind, s.Fact.At = economy.FromWebhook, "evt", economy.FactBought, s.Fact.At.Add(time.Hour)
			if i%3 == 0 {
				s.Fact.Kind, s.Fact.Refund = economy.FactReversed, &economy.Refund{Reversed: true}
			}
			live.record(t, s, events.Store)
		}
		again, _ := rehearse(t, db, everything)
		require.Zero(t, again.Total.Items)
		require.Zero(t, again.Total.UsedUp)
		var marked []string
		require.NoError(t, db.Select(&marked, "SELECT transaction_id FROM purchases WHERE used_up ORDER BY 1"))
		require.NotEmpty(t, marked)
		folds(t, db, func(holdings economy.Holdings) {
			for _, grant := range holdings.Grants {
				require.False(t, grant.Name == "bomb" && slices.Contains(marked, grant.Purchase.TransactionID), grant.Purchase)
			}
		})
		// So it is where a webhook's statement and its fold are one commit.
		at := slices.IndexFunc(rows, func(s purchases.Statement) bool { return s.Fact.Key.TransactionID == marked[0] })
		told, err := live.store.Told(t.Context(), rows[at].Fact.Key, nil, rows[at].Fact.AppUserID)
		require.NoError(t, err)
		h, _, err := told.After(purchases.Merged{Purchase: told.Known.Purchase, KnownVersion: told.Known.Version})
		require.NoError(t, err)
		for _, p := range h.Purchases {
			require.Equal(t, slices.Contains(marked, p.Key.TransactionID), p.UsedUp)
		}
	})
}
