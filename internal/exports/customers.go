package exports

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// CustomerRow is one row of a customer list: a customer as the dashboard knows it.
// Times are zero where the list tells none.
type CustomerRow struct {
	Row  int64 // as TransactionRow.Row
	Line int64 // as TransactionRow.Line

	AppUserID string
	// Aliases are all App User IDs the row names, sorted, when these are more than one.
	// The documented columns name one id only; a list with a column aliases,
	// original_app_user_id, or those of the transactions feed tells more.
	Aliases []string

	FirstSeenAt, LastSeenAt                time.Time
	FirstPurchaseAt, LastPurchaseAt        time.Time
	LastRenewalAt, LatestExpirationAt      time.Time
	SubscriptionOptOutAt, BillingProblemAt time.Time

	LatestStore      economy.Store
	LatestProduct    string
	Products         []string // all that the customer ever bought
	SandboxPurchases bool
}

// CustomerReader reads one customer list.
type CustomerReader = Reader[CustomerRow]

// OpenCustomers opens a customer list, as OpenTransactions does.
func OpenCustomers(ctx context.Context, file File, opts Options) (*CustomerReader, error) {
	p := &customerParser{cells{words: words{}}}
	return open(ctx, file, opts, &customerFeed, p.parse)
}

// The columns of a customer list that a row is made of.
const (
	clUser = iota
	clOriginalUser
	clRCOriginalUser
	clRCLastUser
	clAliases
	clFirstSeen
	clLastSeen
	clFirstPurchase
	clLastPurchase
	clLastRenewal
	clExpiration
	clOptOut
	clBilling
	clStore
	clProduct
	clProducts
	clSandbox
)

var customerFeed = feed{
	name: Customers,
	columns: []column{
		clUser:           {name: "app_user_id", required: true},
		clOriginalUser:   {name: "original_app_user_id"},
		clRCOriginalUser: {name: "rc_original_app_user_id"},
		clRCLastUser:     {name: "rc_last_seen_app_user_id_alias"},
		clAliases:        {name: "aliases"},
		clFirstSeen:      {name: "first_seen_at"},
		clLastSeen:       {name: "last_seen_at", without: "who was seen lately is not known"},
		clFirstPurchase:  {name: "first_purchase_at"},
		clLastPurchase:   {name: "most_recent_purchase_at", without: "who bought lately is not known"},
		clLastRenewal:    {name: "most_recent_renewal_at"},
		clExpiration:     {name: "latest_expiration_at"},
		clOptOut:         {name: "subscription_opt_out_at"},
		clBilling:        {name: "most_recent_billing_issues_at"},
		clStore:          {name: "latest_store"},
		clProduct:        {name: "latest_product"},
		clProducts:       {name: "all_purchased_product_ids", without: "who bought at all is not known"},
		clSandbox:        {name: "has_made_sandbox_purchase"},
	},
}

// customerParser makes rows of cells.
type customerParser struct{ cells }

func (p *customerParser) parse(t *table) (CustomerRow, error) {
	p.begin(t)
	row := CustomerRow{Row: t.row, Line: t.source.line(), AppUserID: p.string(clUser)}
	if row.AppUserID == "" {
		p.fail(clUser, errors.New("is empty"))
	}
	ids := append([]string{row.AppUserID}, p.list(clAliases)...)
	for _, c := range []int{clOriginalUser, clRCOriginalUser, clRCLastUser} {
		if id := p.string(c); id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 1 {
		row.Aliases = ids
	}
	row.FirstSeenAt, row.LastSeenAt = p.millis(clFirstSeen), p.millis(clLastSeen)
	row.FirstPurchaseAt, row.LastPurchaseAt = p.millis(clFirstPurchase), p.millis(clLastPurchase)
	row.LastRenewalAt, row.LatestExpirationAt = p.millis(clLastRenewal), p.millis(clExpiration)
	row.SubscriptionOptOutAt, row.BillingProblemAt = p.millis(clOptOut), p.millis(clBilling)
	row.LatestStore, row.LatestProduct = economy.Store(p.lower(clStore)), p.word(clProduct)
	row.Products = p.list(clProducts)
	if raw := p.cell(clSandbox); len(raw) > 0 {
		row.SandboxPurchases = p.bool(clSandbox) == yes
	}
	if p.failed != nil {
		return CustomerRow{}, p.failed
	}
	return row, nil
}

func (p *cells) string(column int) string {
	raw := p.cell(column)
	p.fail(column, checkText(raw))
	return string(raw)
}

func (p *cells) list(column int) []string {
	raw := p.cell(column)
	p.fail(column, checkText(raw))
	return parseList(raw)
}

func (p *cells) millis(column int) time.Time {
	t, err := parseMillis(p.cell(column))
	p.fail(column, err)
	return t
}
