package resync

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

func hour(n int) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

// said is a fact of the teller of hour 100, before what a case adds.
func said(id string, change func(*economy.PurchaseFact)) economy.PurchaseFact {
	fact := economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: id},
		Source: economy.FromResync, Kind: economy.FactSnapshot, At: hour(100), By: "resync",
		AppUserID: "ann", Buyer: "bob", PurchasedAt: hour(1), Ownership: economy.OwnershipPurchased,
	}
	change(&fact)
	return fact
}

func TestAOneTimePurchaseIsTold(t *testing.T) {
	t.Parallel()
	say := teller{at: hour(100)}
	for status, refund := range map[string]*economy.Refund{
		"owned": {}, "refunded": {At: hour(100)}, "on_hold": nil,
	} {
		got := say.sale(revenuecat.Purchase{
			ID: "purch1", CustomerID: "ann", OriginalCustomerID: "bob", ProductID: "prod1", PurchasedAt: hour(1), Quantity: 3, Status: status,
			Environment: economy.Production, Store: economy.AppStore, StoreID: "t1", Ownership: economy.OwnershipPurchased,
		}, "gems")
		require.Equal(t, said("t1", func(f *economy.PurchaseFact) {
			f.Product, f.Quantity, f.ExpiresAt, f.Refund = "gems", 3, &time.Time{}, refund
		}), got, status)
		require.NoError(t, got.Validate())
	}
}

// A webhook tells until when something given from the dashboard lasts. The API's
// purchase does not: taken for one without an end, it would last for ever.
func TestTheEndOfWhatWasGivenIsLeftToOthers(t *testing.T) {
	t.Parallel()
	got := (teller{at: hour(100)}).sale(revenuecat.Purchase{
		CustomerID: "ann", PurchasedAt: hour(1), Environment: economy.Production, Store: economy.PromotionalStore, StoreID: "t1",
	}, "rc_promo")
	require.Nil(t, got.ExpiresAt)
	require.NoError(t, got.Validate())
}

func TestAPeriodIsToldWithItsEndAsSoldAndItsRealOne(t *testing.T) {
	t.Parallel()
	sub := revenuecat.Subscription{
		CustomerID: "ann", OriginalCustomerID: "bob", StartsAt: hour(1), CurrentPeriodStartsAt: hour(1), Status: "active",
		Environment: economy.Production, Store: economy.AppStore, Ownership: economy.OwnershipPurchased,
	}
	none := &time.Time{}
	for _, test := range []struct {
		name              string
		expires, really   time.Time
		endedAt, graceful *time.Time
	}{
		{"as sold", hour(9), hour(9), none, none},
		{"ended by the store", hour(9), hour(5), new(hour(5)), nil},
		{"grace", hour(9), hour(12), none, new(hour(12))},
		{"no real end told", hour(9), time.Time{}, nil, nil},
		{"no end told", time.Time{}, hour(9), nil, nil},
	} {
		got := teller{hour(100)}.periods(sub, []revenuecat.Transaction{{ID: "t1", PurchasedAt: hour(1), Product: "p", ExpiresAt: test.expires, EffectiveExpires: test.really}})
		require.Equal(t, []economy.PurchaseFact{said("t1", func(f *economy.PurchaseFact) {
			f.Product, f.Original, f.EndedAt, f.GraceUntil = "p", "t1", test.endedAt, test.graceful
			if !test.expires.IsZero() {
				f.ExpiresAt = &test.expires
			}
		})}, got, test.name)
	}
}

// The periods come in any order. The trial brings no items, so it must not be told as
// a paid period: the current one is known by the subscription's status, a past one is
// guessed by its price, and every other word on it is newer than the guess.
func TestATrialIsToldApart(t *testing.T) {
	t.Parallel()
	sub := revenuecat.Subscription{
		CustomerID: "ann", OriginalCustomerID: "ann", CurrentPeriodStartsAt: hour(60), Environment: economy.Production, Store: economy.AppStore, Ownership: economy.OwnershipPurchased,
	}
	periods := []revenuecat.Transaction{
		{ID: "t3", PurchasedAt: hour(110)}, {ID: "t1", PurchasedAt: hour(50), Unpaid: true}, {ID: "t2", PurchasedAt: hour(60)},
	}
	kinds := func(change func(*revenuecat.Subscription)) map[string]economy.Period {
		s := sub
		change(&s)
		out := map[string]economy.Period{}
		for _, fact := range (teller{hour(100)}).periods(s, periods) {
			require.NoError(t, fact.Validate())
			if fact.By == "resync" {
				require.Equal(t, "t1", fact.Original)
				out[fact.Key.TransactionID] += fact.Period
				continue
			}
			require.True(t, fact.At.Before(hour(50-24)), "an event about it may be a day older than its period")
			require.Empty(t, fact.AppUserID)
			out[fact.Key.TransactionID] += "guess:" + fact.Period
		}
		return out
	}
	require.Equal(t, map[string]economy.Period{"t1": "guess:trial", "t2": "", "t3": ""}, kinds(func(s *revenuecat.Subscription) { s.Status = "active" }))
	require.Equal(t, map[string]economy.Period{"t1": "guess:trial", "t2": "trial", "t3": ""}, kinds(func(s *revenuecat.Subscription) { s.Status = "trialing" }))
	for _, change := range []func(*revenuecat.Subscription){
		func(s *revenuecat.Subscription) { s.Environment = economy.Sandbox },
		func(s *revenuecat.Subscription) { s.Store = economy.PromotionalStore },
		func(s *revenuecat.Subscription) { s.Ownership = economy.OwnershipFamily },
	} {
		require.Equal(t, map[string]economy.Period{"t1": "", "t2": "", "t3": ""}, kinds(change), "free for another reason")
	}
	guess := (teller{hour(100)}).periods(sub, periods[1:2])[1]
	told := economy.PurchaseFact{Key: guess.Key, Source: economy.FromWebhook, At: hour(50 - 24), By: "e", Period: economy.PeriodIntro}
	require.Equal(t, economy.PeriodIntro, economy.Merge(economy.Merge(economy.Purchase{}, told), guess).Period.Value)
}

func TestTheNewestPeriodIsToldWhereTheOthersAreNot(t *testing.T) {
	t.Parallel()
	sub := revenuecat.Subscription{
		CustomerID: "ann", OriginalCustomerID: "bob", StartsAt: hour(1), CurrentPeriodStartsAt: hour(1), CurrentPeriodEndsAt: hour(200), EndsAt: hour(200),
		GivesAccess: true, Status: "active", Environment: economy.Production, Store: economy.StripeStore, StoreID: "si_1", Ownership: economy.OwnershipPurchased,
	}
	for _, test := range []struct {
		name   string
		change func(*revenuecat.Subscription)
		want   func(*economy.PurchaseFact) // nil: nothing can be told
	}{
		{"the first", func(*revenuecat.Subscription) {}, func(*economy.PurchaseFact) {}},
		{"a trial", func(s *revenuecat.Subscription) { s.Status = "trialing" }, func(f *economy.PurchaseFact) { f.Period = economy.PeriodTrial }},
		{"ended early", func(s *revenuecat.Subscription) { s.GivesAccess = false }, func(f *economy.PurchaseFact) { f.EndedAt = new(hour(100)) }},
		{"over", func(s *revenuecat.Subscription) {
			s.GivesAccess, s.CurrentPeriodEndsAt, s.EndsAt = false, hour(50), hour(50)
		}, func(f *economy.PurchaseFact) {
			f.EndedAt, f.ExpiresAt = nil, new(hour(50))
		}},
		{"paused for good", func(s *revenuecat.Subscription) { s.CurrentPeriodEndsAt, s.EndsAt = time.Time{}, time.Time{} }, func(f *economy.PurchaseFact) { f.ExpiresAt = nil }},
		{"a later one of Stripe", func(s *revenuecat.Subscription) { s.CurrentPeriodStartsAt = hour(90) }, nil},
		{"renewed already, of Stripe", func(s *revenuecat.Subscription) { s.EndsAt = hour(400) }, nil},
		{"renewed already, of another", func(s *revenuecat.Subscription) { s.EndsAt, s.Store = hour(400), "rc_billing" }, func(f *economy.PurchaseFact) {
			f.Key.Store, f.PurchasedAt, f.ExpiresAt, f.Original = "rc_billing", hour(200), new(hour(400)), ""
		}},
		{"without an id", func(s *revenuecat.Subscription) { s.StoreID = "" }, nil},
	} {
		s := sub
		test.change(&s)
		got, ok := teller{hour(100)}.newestPeriod(s, "premium")
		require.Equal(t, test.want != nil, ok, test.name)
		if ok {
			require.Equal(t, said("si_1", func(f *economy.PurchaseFact) {
				f.Key.Store, f.Product, f.Original, f.ExpiresAt, f.EndedAt = economy.StripeStore, "premium", "si_1", new(hour(200)), &time.Time{}
				test.want(f)
			}), got, test.name)
		}
	}
}

func TestTheProviderIsAskedAboutAClaimEverMoreRarely(t *testing.T) {
	t.Parallel()
	times := ClaimTimes{Webhook: 30 * time.Second, Patience: 5 * time.Minute}
	for _, test := range []struct{ age, last, next int }{
		{0, 0, 30}, {29, 0, 30}, {30, 30, 60}, {59, 30, 60}, {60, 60, 120}, {239, 120, 240}, {240, 240, 300}, {299, 240, 300}, {300, 300, 300}, {9999, 300, 300},
	} {
		last, next := times.checks(time.Duration(test.age) * time.Second)
		require.Equal(t, []time.Duration{time.Duration(test.last) * time.Second, time.Duration(test.next) * time.Second}, []time.Duration{last, next}, test.age)
	}
	last, next := ClaimTimes{Webhook: time.Hour, Patience: time.Minute}.checks(time.Minute)
	require.Equal(t, []time.Duration{time.Minute, time.Minute}, []time.Duration{last, next})
}
