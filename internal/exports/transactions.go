package exports

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// TransactionRow is one row of a transactions export: one version of one transaction.
// It shares no memory with the reader and may be kept.
type TransactionRow struct {
	Row  int64 // 1 is the first under the header; blank lines and repeated headers do not count
	Line int64 // where the row begins in the file, 1 is the header; of Parquet Row + 1
	// Fact is valid: economy.PurchaseFact.Validate returned nil. It has Source
	// economy.FromExport, Kind economy.FactSnapshot, By "export" and At UpdatedAt.
	Fact economy.PurchaseFact
	// Aliases are the App User IDs the row names, sorted, when these are two: one customer.
	Aliases   []string
	UpdatedAt time.Time
	// Product is what the row is of, also where Fact does not say it, see Invalidated.
	Product string
	// Original is the transaction that the row's subscription began with, also where Fact
	// does not say it; the row's own where none is told.
	Original string
	// Invalidated: the store took the transaction back before it began (Google, an end
	// before the start). Fact then says only whose it is and that it ended: alone it
	// confirms no purchase, and brings nothing.
	Invalidated bool
}

// TransactionReader reads one file of a transactions export.
type TransactionReader = Reader[TransactionRow]

// OpenTransactions opens a file and reads its header. Errors are *FileError: what
// cannot be opened, is empty, or lacks a column without which a row would say too
// little, or too much: without refunded_at what was paid back would be handed out.
// Close the reader.
func OpenTransactions(ctx context.Context, file File, opts Options) (*TransactionReader, error) {
	p := &transactionParser{cells{words: words{}}}
	return open(ctx, file, opts, &transactionFeed, p.parse)
}

// The columns of a transactions export that a fact is made of.
const (
	txOriginalUser = iota
	txLastUser
	txProduct
	txStart
	txEnd
	txGraceEnd
	txEffectiveEnd
	txStore
	txRenewable
	txTrial
	txIntro
	txSandbox
	txNetUSD
	txGrossUSD
	txID
	txOriginalID
	txRefundedAt
	txUnsubscribedAt
	txBillingIssueAt
	txCurrency
	txNet
	txGross
	txRenewal
	txOwnership
	txUpdatedAt
)

var transactionFeed = feed{
	name:  Transactions,
	oneOf: []int{txLastUser, txOriginalUser},
	columns: []column{
		txOriginalUser:   {name: "rc_original_app_user_id", without: "rows link no aliases"},
		txLastUser:       {name: "rc_last_seen_app_user_id_alias", without: "purchases are booked to the original App User ID"},
		txProduct:        {name: "product_identifier", required: true},
		txStart:          {name: "start_time", required: true},
		txEnd:            {name: "end_time", required: true},
		txGraceEnd:       {name: "grace_period_end_time", without: "grace periods stay as they are known"},
		txEffectiveEnd:   {name: "effective_end_time", without: "ends before the paid period's stay as they are known"},
		txStore:          {name: "store", required: true},
		txRenewable:      {name: "is_auto_renewable", required: true},
		txTrial:          {name: "is_trial_period", required: true},
		txIntro:          {name: "is_in_intro_offer_period"},
		txSandbox:        {name: "is_sandbox", required: true},
		txNetUSD:         {name: "price_in_usd"},
		txGrossUSD:       {name: "purchase_price_in_usd", without: "refunds that were taken back cannot be told"},
		txID:             {name: "store_transaction_id", required: true},
		txOriginalID:     {name: "original_store_transaction_id", without: "periods of one subscription are not linked"},
		txRefundedAt:     {name: "refunded_at", required: true},
		txUnsubscribedAt: {name: "unsubscribe_detected_at"},
		txBillingIssueAt: {name: "billing_issues_detected_at"},
		txCurrency:       {name: "purchased_currency"},
		txNet:            {name: "price_in_purchased_currency"},
		txGross:          {name: "purchase_price_in_purchased_currency"},
		txRenewal:        {name: "renewal_number", required: true},
		txOwnership:      {name: "ownership_type", required: true},
		txUpdatedAt:      {name: "updated_at", without: "a row counts as old as the latest thing it tells of"},
	},
}

// transactionParser makes facts of cells.
type transactionParser struct{ cells }

// said holds what a fact points to: one allocation for all of it.
type said struct {
	expires, grace, ended time.Time
	refund                economy.Refund
	paid                  economy.Price
	usd                   int64
}

func (p *transactionParser) parse(t *table) (TransactionRow, error) {
	p.begin(t)
	row := TransactionRow{Row: t.row, Line: t.source.line()}
	fact := &row.Fact
	fact.Source, fact.Kind, fact.By = economy.FromExport, economy.FactSnapshot, "export"
	p.identity(&row)
	s := &said{}
	p.period(&row, s)
	p.money(fact, s)
	row.UpdatedAt = p.updatedAt(fact)
	fact.At = row.UpdatedAt
	if row.Invalidated {
		*fact = economy.PurchaseFact{
			Key: fact.Key, Source: fact.Source, Kind: fact.Kind, At: fact.At, By: fact.By,
			AppUserID: fact.AppUserID, EndedAt: fact.EndedAt, Refund: fact.Refund,
		}
	}
	if p.failed != nil {
		return TransactionRow{}, p.failed
	}
	if err := fact.Validate(); err != nil {
		return TransactionRow{}, t.reject(-1, err, remedyCell)
	}
	return row, nil
}

// identity: whose it is, and which transaction.
func (p *transactionParser) identity(row *TransactionRow) {
	fact := &row.Fact
	last, original := p.mark(txLastUser), p.mark(txOriginalUser)
	id, first := p.mark(txID), p.mark(txOriginalID)
	all := string(p.text)
	row.Product = p.word(txProduct)
	fact.Product = row.Product
	fact.AppUserID = cmp.Or(last.of(all), original.of(all))
	if fact.AppUserID == "" {
		p.fail(txLastUser, errors.New("is empty, as is the original id: nobody bought it"))
	}
	row.Aliases = pair(fact.AppUserID, original.of(all))
	if row.Product == "" {
		p.fail(txProduct, errors.New("is empty"))
	}
	fact.Original = first.of(all)
	fact.Renewal = p.renewal()
	fact.Key.Store = economy.Store(p.lower(txStore))
	fact.Key.Environment = economy.Production
	if p.bool(txSandbox) == yes {
		fact.Key.Environment = economy.Sandbox
	}
	fact.Key.TransactionID = economy.TransactionID(fact.Key.Store, id.of(all), fact.Renewal)
	row.Original = cmp.Or(fact.Original, fact.Key.TransactionID)
}

// renewal is part of the key, so it must be there: Stripe repeats its ids.
func (p *transactionParser) renewal() int64 {
	n, err := parseInt(p.cell(txRenewal))
	if err == nil && n < 1 {
		err = errors.New("is less than 1")
	}
	p.fail(txRenewal, err)
	return n
}

// period: from when to when, and what kind of time it is.
func (p *transactionParser) period(row *TransactionRow, s *said) {
	fact := &row.Fact
	fact.PurchasedAt = p.time(txStart)
	if fact.PurchasedAt.IsZero() {
		p.fail(txStart, errors.New("is empty"))
	}
	renewable, trial, intro := p.bool(txRenewable), p.bool(txTrial), p.bool(txIntro)
	end, effective := p.time(txEnd), p.time(txEffectiveEnd)
	s.expires, s.grace = end, p.time(txGraceEnd)
	switch {
	case !end.IsZero() && end.Before(fact.PurchasedAt):
		row.Invalidated = true
		s.ended = end
		fact.EndedAt = &s.ended
	case !end.IsZero():
		fact.ExpiresAt = &s.expires
		if effective.Before(end) {
			s.ended = effective
		}
	case renewable == no: // one-time, or for life
		fact.ExpiresAt = &s.expires
		s.ended = effective
	}
	if fact.ExpiresAt != nil && p.t.has(txEffectiveEnd) {
		fact.EndedAt = &s.ended
	}
	if p.t.has(txGraceEnd) {
		fact.GraceUntil = &s.grace
	}
	switch p.lower(txOwnership) {
	case "purchased":
		fact.Ownership = economy.OwnershipPurchased
	case "family_shared":
		fact.Ownership = economy.OwnershipFamily
	}
	switch {
	case trial == yes:
		fact.Period = economy.PeriodTrial
	case fact.Key.Store == economy.PromotionalStore:
		fact.Period = economy.PeriodPromotional
	case intro == yes:
		fact.Period = economy.PeriodIntro
	case trial == no && intro == no:
		fact.Period = economy.PeriodNormal
	}
}

// money: what was paid, and whether it went back.
func (p *transactionParser) money(fact *economy.PurchaseFact, s *said) {
	netUSD, grossUSD := p.price(txNetUSD), p.price(txGrossUSD)
	net, gross := p.price(txNet), p.price(txGross)
	if grossUSD.told {
		s.usd = grossUSD.micros
		fact.PaidUSD = &s.usd
	}
	if currency := p.word(txCurrency); currency != "" && gross.told {
		s.paid = economy.Price{Currency: currency, Micros: gross.micros}
		fact.Paid = &s.paid
	}
	s.refund.At = p.time(txRefundedAt)
	whole := grossUSD.whole(netUSD) || gross.whole(net)
	lowered := grossUSD.lowered(netUSD) || gross.lowered(net)
	if !s.refund.At.IsZero() || whole && !lowered {
		fact.Refund = &s.refund
	}
}

// updatedAt is as of when the row tells. Template 3, and feeds without the column, do
// not say: then it is no older than the latest thing that it tells to have happened.
func (p *transactionParser) updatedAt(fact *economy.PurchaseFact) time.Time {
	if p.t.has(txUpdatedAt) {
		at := p.time(txUpdatedAt)
		if at.IsZero() {
			p.fail(txUpdatedAt, errors.New("is empty"))
		}
		return at
	}
	at := fact.PurchasedAt
	for _, c := range []int{txRefundedAt, txUnsubscribedAt, txBillingIssueAt} {
		if t := p.time(c); t.After(at) {
			at = t
		}
	}
	return at
}
