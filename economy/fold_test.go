package economy_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// bought is a purchase of premium by a player, as the last word says.
func bought(id, user string, purchased, expires int, change func(*economy.Purchase)) economy.Bought {
	key := economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: id}
	p := economy.PurchaseOf(economy.PurchaseFact{
		Key: key, Source: economy.FromWebhook, At: hour(purchased), By: id, AppUserID: user, Product: "premium", PurchasedAt: hour(purchased), ExpiresAt: new(hour(expires)),
	})
	if change != nil {
		change(&p)
	}
	return economy.Bought{Purchase: p, Package: premium, CatalogVersion: 3, Owner: true, Buyer: true, Counts: true}
}

var premium = economy.Package{
	ID: "premium", Accesses: []economy.PackageAccess{{Module: "premium"}}, Items: []economy.PackageItem{{Item: "chest", Quantity: 2}},
}

var ann = economy.NewCustomer([]string{"ann", "anna", "$RCAnonymousID:1"})

func TestHistoriesThatMeetInOneCustomerCountAndAreReported(t *testing.T) {
	t.Parallel()
	ids := func(list ...economy.Bought) []string { return economy.Fold(ann, list).Conflict }
	one, two := bought("1", "ann", 1, 5, nil), bought("2", "anna", 2, 9, nil)
	folded := economy.Fold(ann, []economy.Bought{two, one})
	if !reflect.DeepEqual(folded.Conflict, []string{"ann", "anna"}) || !folded.Accesses[0].ExpiresAt.Equal(hour(9)) || len(folded.Grants) != 4 {
		t.Errorf("folded %+v", folded)
	}
	refunded := bought("2", "anna", 2, 9, func(p *economy.Purchase) { p.Refund.Value.At = hour(3) })
	for name, got := range map[string][]string{
		"one history": ids(one), "an anonymous one": ids(one, bought("3", "$RCAnonymousID:1", 1, 5, nil)),
		"one that was refunded": ids(one, refunded), "one of somebody else's id": ids(one, bought("4", "zoe", 1, 5, nil)),
	} {
		if got != nil {
			t.Errorf("%s is a conflict: %v", name, got)
		}
	}
}

func TestWhatIsNotConfirmedOrDoesNotCountBringsNothing(t *testing.T) {
	t.Parallel()
	whole := bought("1", "ann", 1, 5, nil)
	sandbox := whole
	sandbox.Counts = false
	claimed := bought("1", "ann", 1, 5, func(p *economy.Purchase) { p.Product.Stamp.Source = economy.FromClaim })
	endless := bought("1", "ann", 1, 5, func(p *economy.Purchase) { p.ExpiresAt = economy.Said[time.Time]{} })
	endless.Package.Items = nil
	family := bought("1", "ann", 1, 5, func(p *economy.Purchase) { p.Ownership.Value = economy.OwnershipFamily })
	others := whole
	others.Owner, others.Buyer = false, false
	for name, b := range map[string]economy.Bought{
		"sandbox": sandbox, "claimed": claimed, "a period nobody told the end of": endless, "family, which the package does not share": family, "another's": others,
	} {
		if got := economy.Fold(ann, []economy.Bought{b}); len(got.Accesses)+len(got.Grants) > 0 {
			t.Errorf("%s brings %+v", name, got)
		}
	}
	if got := economy.Fold(ann, []economy.Bought{whole, whole}); len(got.Grants) != 2 {
		t.Errorf("listed twice it brings %+v", got.Grants)
	}
}

func TestTimeIsNeverMoreThanCanBeHeld(t *testing.T) {
	t.Parallel()
	b := bought("1", "ann", 1, 5, func(p *economy.Purchase) { p.Quantity.Value = math.MaxInt32 })
	b.Package.Accesses = []economy.PackageAccess{{Module: "premium", Lasts: economy.Lasts{For: 100 * 365 * 24 * time.Hour}}}
	many := []economy.Bought{b}
	for range 50 { // a century and more each
		next := b
		next.Purchase.Key.TransactionID += string(rune('a' + len(many)))
		many = append(many, next)
	}
	if got := economy.Fold(ann, many).Accesses[0]; !got.ExpiresAt.IsZero() || got.Cause != economy.CauseForever {
		t.Errorf("millennia end %s", got.ExpiresAt)
	}
	if got := economy.Fold(ann, []economy.Bought{b}).Accesses[0].ExpiresAt; got.Year() < 2200 || got.Year() > 9999 {
		t.Errorf("ends %s", got)
	}
}

func TestLinesBringWhatIsGrantedToWhatIsWanted(t *testing.T) {
	t.Parallel()
	chest := func(n int64) []economy.PurchaseGrant {
		if n == 0 {
			return nil
		}
		return []economy.PurchaseGrant{{Purchase: saleKey, Kind: economy.GrantedItem, Name: "chest", Quantity: n, CatalogVersion: 3}}
	}
	var written []economy.GrantLine
	for step, test := range []struct {
		want, quantity int64
		reason         economy.GrantReason
	}{{2, 2, "credited"}, {2, 0, ""}, {0, -2, "revoked"}, {0, 0, ""}, {2, 2, "restored"}, {5, 3, "restored"}, {1, -4, "revoked"}} {
		lines := economy.GrantLines(written, chest(test.want))
		if test.quantity == 0 {
			if len(lines) > 0 {
				t.Fatalf("step %d: %+v", step, lines)
			}
			continue
		}
		if len(lines) != 1 || lines[0].Quantity != test.quantity || lines[0].Reason != test.reason || lines[0].Number != int64(len(written)+1) || lines[0].CatalogVersion != 3 {
			t.Fatalf("step %d: %+v", step, lines)
		}
		written = append(written, lines...)
	}
}

func TestAccessesThatNothingBringsAnyMoreAreRevoked(t *testing.T) {
	t.Parallel()
	access := func(module string, expires time.Time) economy.Access {
		return economy.Access{Module: module, ExpiresAt: expires, State: economy.AccessGranted, Cause: economy.CausePeriod, Purchase: saleKey}
	}
	before := []economy.Access{access("arena", hour(9)), access("premium", time.Time{}), access("vault", hour(1))}
	changes := economy.AccessChanges(before, []economy.Access{access("arena", hour(9).In(time.FixedZone("", 3600))), access("shop", hour(2))}, hour(4))
	var got []string
	for _, c := range changes {
		got = append(got, c.Module+" "+string(c.State)+" "+c.Cause+" "+c.ExpiresAt.Format("15h"))
	}
	if want := []string{"shop granted period 02h", "premium revoked gone 04h", "vault revoked gone 01h"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if again := economy.AccessChanges(changes[1:], nil, hour(5)); len(again) > 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestACustomersIDDependsOnTheSetAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ids  []string
		want string
	}{
		{[]string{"zoe", "ann"}, "ann"}, {[]string{"$RCAnonymousID:1", "zoe"}, "zoe"}, {[]string{"$RCAnonymousID:2", "$RCAnonymousID:1"}, "$RCAnonymousID:1"},
	} {
		if got := economy.NewCustomer(test.ids); got.ID != test.want || !got.Has(test.ids[0]) || got.Has("else") {
			t.Errorf("%v: %+v", test.ids, got)
		}
	}
}

func TestAMovementsLinesBalance(t *testing.T) {
	t.Parallel()
	m := economy.Movement{ID: "vatx1", AppUserID: "ann", At: hour(1), Source: economy.PurchaseSource, Adjustments: economy.Amounts{"GEM": 100, "GOLD": -5, "NIL": 0}}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	got := m.Entries()
	if len(got) != 2 || got[0].Kind != economy.EntryStoreCredit || got[0].Debit != economy.MoneyAccount || got[0].Amount != 100 ||
		got[1].Kind != economy.EntryStoreRemoval || got[1].Debit != economy.Wallet || got[1].Amount != 5 {
		t.Errorf("purchase: %+v", got)
	}
	m.Source = "admin_api"
	got = m.Entries()
	if got[0].Kind != economy.EntryProviderCredit || got[0].Debit != economy.Issuance || got[1].Kind != economy.EntryProviderRemoval || got[1].Credit != economy.Issuance {
		t.Errorf("dashboard: %+v", got)
	}
	for name, change := range map[string]func(*economy.Movement){
		"no id": func(m *economy.Movement) { m.ID = "" }, "too much": func(m *economy.Movement) { m.Adjustments = economy.Amounts{"GEM": economy.BalanceMax + 1} },
		"no currency": func(m *economy.Movement) { m.Adjustments = economy.Amounts{"": 1} },
	} {
		bad := m
		change(&bad)
		if bad.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAClaimIsSettledByAnothersWordOnly(t *testing.T) {
	t.Parallel()
	pending := economy.Claim{ID: "c", AppUserID: "ann", State: economy.ClaimPending}
	known := bought("1", "ann", 1, 5, nil).Purchase
	refunded := known
	refunded.Refund.Value.At = hour(2)
	unknown := pending
	unknown.State, unknown.Reason, unknown.SettledAt = economy.ClaimRejected, economy.ClaimUnknown, hour(1)
	for name, test := range map[string]struct {
		claim    economy.Claim
		purchase economy.Purchase
		mine     bool
		state    economy.ClaimState
		reason   string
	}{
		"confirmed": {pending, known, true, economy.ClaimConfirmed, ""}, "another's": {pending, known, false, economy.ClaimRejected, economy.ClaimOfAnother},
		"refunded": {pending, refunded, true, economy.ClaimRejected, economy.ClaimRefunded}, "nobody told": {pending, economy.Purchase{}, true, economy.ClaimPending, ""},
		"told late": {unknown, known, true, economy.ClaimConfirmed, ""},
	} {
		if got := economy.SettleClaim(test.claim, test.purchase, test.mine, hour(3)); got.State != test.state || got.Reason != test.reason {
			t.Errorf("%s: %+v", name, got)
		}
	}
	done := economy.SettleClaim(pending, known, true, hour(3))
	if again := economy.SettleClaim(done, known, false, hour(4)); again != done {
		t.Errorf("settled again: %+v", again)
	}
}

func TestPackagesSurviveTheStoredForm(t *testing.T) {
	t.Parallel()
	before := economy.Catalog{Items: map[string]economy.Item{"plain": shelf().Items["plain"]}}
	before.Packages = map[string]economy.Package{"p": {
		ID: "p", Name: "P", Products: map[economy.Store][]string{"app_store": {"a", "b"}}, Consumable: true, FamilyShare: true, TrialItems: true,
		Accesses: []economy.PackageAccess{{"m", economy.Lasts{}}, {"n", economy.Lasts{Forever: true}}, {"o", economy.Lasts{For: 36 * time.Hour}}},
		Items:    []economy.PackageItem{{"chest", 2}}, Credits: economy.Amounts{"GEM": 5},
	}}
	if err := before.Validate(); err != nil {
		t.Fatal(err)
	}
	raw, err := economy.CatalogJSON(before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := economy.CatalogFromJSON(raw)
	after.Version = before.Version
	if err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("%v\nbefore %+v\nafter  %+v", err, before, after)
	}
	for product, want := range map[string]bool{"a": true, "a:base": false, "c": false} {
		if _, ok := before.PackageOf(economy.AppStore, product); ok != want {
			t.Errorf("%s: %v", product, ok)
		}
	}
	before.Packages["p"].Products[economy.PlayStore] = []string{"premium", "gold:monthly"}
	for product, want := range map[string]bool{"premium:yearly": true, "premium": true, "gold:monthly": true, "gold:yearly": false, "gold": false} {
		if _, ok := before.PackageOf(economy.PlayStore, product); ok != want {
			t.Errorf("google's %s: %v", product, ok)
		}
	}
}
