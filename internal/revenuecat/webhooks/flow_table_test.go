package webhooks_test

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

// shelf is what the products of the flows bring.
var shelf = economy.Catalog{Packages: map[string]economy.Package{
	"monthly": {
		ID: "monthly", Products: map[economy.Store][]string{economy.AppStore: {"monthly"}, economy.PlayStore: {"monthly"}, "promotional": {"rc_promo"}},
		Accesses: []economy.PackageAccess{{Module: "premium"}}, Items: []economy.PackageItem{{Item: "chest", Quantity: 2}}, FamilyShare: true,
	},
	"yearly": {
		ID: "yearly", Products: map[economy.Store][]string{economy.AppStore: {"yearly"}, economy.PlayStore: {"yearly"}},
		Accesses: []economy.PackageAccess{{Module: "premium"}, {Module: "vault"}},
	},
	"week": {
		ID: "week", Products: map[economy.Store][]string{economy.AppStore: {"week"}},
		Accesses: []economy.PackageAccess{{Module: "arena", Lasts: economy.Lasts{For: 7 * 24 * time.Hour}}},
	},
	"gems": {
		ID: "gems", Products: map[economy.Store][]string{economy.AppStore: {"gems"}}, Consumable: true,
		Items: []economy.PackageItem{{Item: "ticket", Quantity: 3}},
	},
	"life": {
		ID: "life", Products: map[economy.Store][]string{economy.AppStore: {"life"}},
		Accesses: []economy.PackageAccess{{Module: "premium", Lasts: economy.Lasts{Forever: true}}}, Items: []economy.PackageItem{{Item: "skin", Quantity: 1}},
	},
}}

const (
	first  = "tx=1 product=monthly bought=0 expires=30"
	second = "tx=2 product=monthly bought=30 expires=60"
)

// The flows of events that the provider documents, told from the day 0 of a
// subscription. Each must end the same in every order of arrival, with every event
// told twice.
var flows = []struct {
	name   string
	events []told
	want   map[string]string // what each customer holds at the end
}{
	{"bought and renewed", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 30, second}, {webhooks.Renewal, 60, "tx=3 product=monthly bought=60 expires=90"},
	}, map[string]string{"ann": "premium 90 (period); chest 6"}},
	{"the store charges a day early", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 29, second},
	}, map[string]string{"ann": "premium 60 (period); chest 4"}},
	{"trial, then paid", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0"},
		{webhooks.Renewal, 3, "tx=2 product=monthly bought=3 expires=33 is_trial_conversion=true"},
	}, map[string]string{"ann": "premium 33 (period); chest 2"}},
	{"trial, cancelled, ended", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0"},
		{webhooks.Cancellation, 1, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0 reason=UNSUBSCRIBE"},
		{webhooks.Expiration, 3, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0 why=UNSUBSCRIBE"},
	}, map[string]string{"ann": "premium 3 (period)"}},
	{"cancelled and taken up again", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Cancellation, 5, first + " reason=UNSUBSCRIBE price=0"},
		{webhooks.Uncancellation, 6, first + " price=0"}, {webhooks.Renewal, 30, second},
	}, map[string]string{"ann": "premium 60 (period); chest 4"}},
	{"refunded", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 30, second},
		{webhooks.Cancellation, 40, second + " reason=CUSTOMER_SUPPORT price=-9.99"},
		{webhooks.Expiration, 40, "tx=2 product=monthly bought=30 expires=40 why=CUSTOMER_SUPPORT"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"refunded, and the refund taken back", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Cancellation, 4, first + " reason=CUSTOMER_SUPPORT price=-9.99"},
		{webhooks.Expiration, 4, "tx=1 product=monthly bought=0 expires=4 why=CUSTOMER_SUPPORT"}, {webhooks.RefundReversed, 9, first},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"refunded twice", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 product=life bought=0 expires=null"},
		{webhooks.Cancellation, 4, "tx=1 product=life bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
		{webhooks.RefundReversed, 9, "tx=1 product=life bought=0 expires=null"},
		{webhooks.Cancellation, 11, "tx=1 product=life bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
	}, map[string]string{"ann": "premium 11 revoked (refund)"}},
	{"billing failed, with grace, recovered", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
		{webhooks.Cancellation, 30, first + " reason=BILLING_ERROR price=0"}, {webhooks.Renewal, 40, "tx=2 product=monthly bought=40 expires=70"},
	}, map[string]string{"ann": "premium 70 (period); chest 4"}},
	{"billing failed, with grace, lost: three events at one time", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
		{webhooks.Cancellation, 30, first + " reason=BILLING_ERROR price=0"}, {webhooks.Expiration, 46, "tx=1 product=monthly bought=0 expires=46 why=BILLING_ERROR"},
	}, map[string]string{"ann": "premium 46 (grace); chest 2"}},
	{"in grace", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
	}, map[string]string{"ann": "premium 46 (grace); chest 2"}},
	{"bought and ended at one time", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 0, first + " grace=null"}, {webhooks.Expiration, 0, "tx=1 product=monthly bought=0 expires=0 why=BILLING_ERROR"},
	}, map[string]string{"ann": "premium 0 (expired); chest 2"}},
	{"paused and resumed", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionPaused, 10, first + " resumes=60"},
		{webhooks.Expiration, 30, first + " why=SUBSCRIPTION_PAUSED"}, {webhooks.Renewal, 60, "tx=2 product=monthly bought=60 expires=90"},
	}, map[string]string{"ann": "premium 90 (period); chest 4"}},
	{"paused", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionPaused, 10, first + " resumes=60"}, {webhooks.Expiration, 30, first + " why=SUBSCRIPTION_PAUSED"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"extended", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionExtended, 10, "tx=1 product=monthly bought=0 expires=37"},
	}, map[string]string{"ann": "premium 37 (period); chest 2"}},
	{"upgraded at once", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=yearly bought=0 expires=365"}, {webhooks.ProductChange, 10, "tx=1 product=yearly bought=0 expires=365 new=monthly"},
		{webhooks.Renewal, 10, "tx=2 product=monthly bought=10 expires=40"},
	}, map[string]string{"ann": "premium 40 (period); vault 10 (product_change); chest 2"}},
	{"downgraded at the end of the period", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=yearly bought=0 expires=365"}, {webhooks.ProductChange, 10, "tx=1 product=yearly new=monthly"},
		{webhooks.Renewal, 365, "tx=2 product=monthly bought=365 expires=395"},
	}, map[string]string{"ann": "premium 395 (period); vault 365 (period); chest 2"}},
	{"a change asked for and not in effect", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.ProductChange, 10, first + " new=yearly"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"google changes at once: another chain, and the old one ends", []told{
		{webhooks.InitialPurchase, 0, "store=PLAY_STORE original=g1 tx=g1 product=yearly bought=0 expires=365"},
		{webhooks.ProductChange, 10, "store=PLAY_STORE original=g1 tx=g1 product=yearly"},
		{webhooks.InitialPurchase, 10, "store=PLAY_STORE original=g2 tx=g2 product=monthly:base bought=10 expires=40"},
		{webhooks.Expiration, 10, "store=PLAY_STORE original=g1 tx=g1 product=yearly bought=0 expires=10 why=UNSUBSCRIBE"},
	}, map[string]string{"ann": "premium 40 (period); vault 10 (expired); chest 2"}},
	{"came back after the end", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Expiration, 30, first + " why=UNSUBSCRIBE"}, {webhooks.Renewal, 50, "tx=2 product=monthly bought=50 expires=80"},
	}, map[string]string{"ann": "premium 80 (period); chest 4"}},
	{"a week, and another before it is over", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 3, "tx=2 original=2 product=week bought=3 expires=null"},
		{webhooks.NonRenewingPurchase, 10, "tx=3 original=3 product=week bought=10 expires=null quantity=2"},
	}, map[string]string{"ann": "arena 28 (duration)"}},
	{"a week, and another after a while", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 20, "tx=2 original=2 product=week bought=20 expires=null"},
	}, map[string]string{"ann": "arena 27 (duration)"}},
	{"bought by the old owner after the transfer", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.NonRenewingPurchase, 6, "tx=7 original=7 product=week bought=6 expires=null"},
	}, map[string]string{"ann": "arena 13 (duration)", "bob": "premium 30 (period); chest 2"}},
	{"a week that is refunded no longer carries the next", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 3, "tx=2 original=2 product=week bought=3 expires=null"},
		{webhooks.Cancellation, 4, "tx=1 original=1 product=week bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
	}, map[string]string{"ann": "arena 10 (duration)"}},
	{"three at once", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=gems bought=0 expires=null quantity=3"},
	}, map[string]string{"ann": "ticket 9"}},
	{"transferred, and renewed by the new owner", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.NonRenewingPurchase, 1, "tx=9 original=9 product=life bought=1 expires=null"},
		{webhooks.Transfer, 10, "transferred_from=ann transferred_to=bob"}, {webhooks.Renewal, 30, second + " user=bob"},
	}, map[string]string{"ann": "", "bob": "premium ever (forever); chest 4; skin 1"}},
	{"transferred: what is used up stays", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=gems bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 0, "tx=2 original=2 product=life bought=0 expires=null"},
		{webhooks.Transfer, 10, "transferred_from=ann,$RCAnonymousID:of-ann transferred_to=$RCAnonymousID:of-bob"},
	}, map[string]string{"ann": "ticket 3", "bob": "premium ever (forever); skin 1"}},
	{"transferred there and back, and bought again in between", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.NonRenewingPurchase, 6, "tx=7 original=7 product=week bought=6 expires=null"}, {webhooks.Transfer, 8, "transferred_from=bob transferred_to=ann"},
		{webhooks.Transfer, 9, "transferred_from=ann transferred_to=cid store=PLAY_STORE"},
	}, map[string]string{"ann": "arena 13 (duration); premium 30 (period); chest 2", "bob": "", "cid": ""}},
	{"refunded after a transfer", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.Cancellation, 7, first + " reason=CUSTOMER_SUPPORT price=-9.99 user=bob"},
	}, map[string]string{"ann": "", "bob": "premium 7 revoked (refund)"}},
	{"shared in the family", []told{
		{webhooks.InitialPurchase, 0, first + " family=true"}, {webhooks.Renewal, 30, second + " family=true"},
	}, map[string]string{"ann": "premium 60 (period)"}},
	{"given from the dashboard, and taken back", []told{
		{webhooks.NonRenewingPurchase, 0, "store=PROMOTIONAL tx=1 product=rc_promo bought=0 expires=30 kind=PROMOTIONAL"},
		{webhooks.Cancellation, 5, "store=PROMOTIONAL tx=1 product=rc_promo bought=0 expires=30 kind=PROMOTIONAL reason=DEVELOPER_INITIATED price=0"},
	}, map[string]string{"ann": "premium 5 (expired)"}},
	{"on credit, then bought", []told{
		{webhooks.TemporaryGrant, 0, "product=monthly tx=x expires=20"}, {webhooks.InitialPurchase, 0.1, "tx=1 product=monthly bought=0 expires=30"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"on credit, a day at most", []told{
		{webhooks.TemporaryGrant, 0, "product=monthly tx=x expires=20"},
	}, map[string]string{"ann": "premium 1 (temporary)"}},
	{"in the sandbox", []told{
		{webhooks.InitialPurchase, 0, first + " environment=SANDBOX"}, {webhooks.Renewal, 30, second + " environment=SANDBOX"},
	}, map[string]string{"ann": ""}},
	{"a test from the dashboard", []told{
		{webhooks.Test, 0, first}, {webhooks.InvoiceIssuance, 0, first}, {"SOMETHING_NEW", 0, first},
	}, map[string]string{"ann": ""}},
}
