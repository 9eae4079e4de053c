package economy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Store names who took the money, in lower case: "app_store", "play_store". The
// set is open: the provider adds stores.
type Store string

// The stores that some rule of ours names.
const (
	AppStore         Store = "app_store"
	PlayStore        Store = "play_store"
	StripeStore      Store = "stripe"
	PromotionalStore Store = "promotional" // given from the provider's dashboard or API: nobody paid
)

// NormalStore returns a store's name as we write it: webhooks shout it, the API
// and the exports do not.
func NormalStore(name string) Store { return Store(strings.ToLower(strings.TrimSpace(name))) }

// Environment tells purchases with money from tests of developers.
type Environment string

// The environments.
const (
	Production Environment = "production"
	Sandbox    Environment = "sandbox"
)

// PurchaseKey is what makes a purchase one purchase, whoever tells of it: one
// transaction of one store. A subscription has one per paid period.
type PurchaseKey struct {
	Store         Store
	Environment   Environment
	TransactionID string
}

// TransactionID returns the id a purchase is kept under. Stripe repeats the id of
// a subscription in every period, so there the later periods carry their number;
// renewal 0 is unknown and taken for the first.
func TransactionID(store Store, id string, renewal int64) string {
	if store == StripeStore && renewal > 1 && id != "" {
		return id + "#" + strconv.FormatInt(renewal, 10)
	}
	return id
}

// ID returns a UUID that stands for the key where only plain characters may: in
// ids of events and in logs.
func (k PurchaseKey) ID() string {
	return HashID(string(k.Store), string(k.Environment), k.TransactionID)
}

// HashID returns a UUID (version 8, from SHA-256) of texts: the same for the same
// texts. None of them may hold a NUL, which PostgreSQL refuses anyway.
func HashID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	out := make([]byte, 0, 36)
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, sum[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return string(out)
}

// String names the purchase in errors and logs. A transaction id is the store's,
// not the player's.
func (k PurchaseKey) String() string {
	return fmt.Sprintf("purchase %s/%s/%s", k.Store, k.Environment, k.TransactionID)
}

// Source is where a statement about a purchase comes from.
type Source string

// The sources. A claim is the player's own word: it never counts against another
// source, and alone it makes no purchase.
const (
	FromClaim   Source = "claim"
	FromExport  Source = "export"
	FromResync  Source = "resync"
	FromWebhook Source = "webhook"
)

// ResyncLag is taken off the time of an answer of the provider's API to get the At of
// its facts: nobody promises that the API knows already what a webhook tells. Our
// choice; the provider's staff speak of seconds.
const ResyncLag = 2 * time.Minute

// order of the sources where they speak of the same moment: what was told live
// wins over what was read.
var sourceOrder = map[Source]int{FromExport: 1, FromResync: 2, FromWebhook: 3}

// FactKind is what a statement is about. Where two statements have the same time,
// the later kind wins: the provider sends several events with one time.
type FactKind int

// The kinds of facts, in that order.
const (
	FactSnapshot FactKind = iota // how things stand: an export's row, an answer of the API
	FactBought                   // bought, or renewed
	FactChanged                  // cancelled, uncancelled, billing failed, paused, another product chosen
	FactExtended                 // the store moved the end of the period
	FactExpired                  // access ended
	FactRefunded                 // the money went back
	FactReversed                 // the refund was taken back
)

// Stamp says who told something and as of when; the zero Stamp: nobody did.
// Stamps have a total order, so that the newest word can be found from any order
// of arrival.
type Stamp struct {
	Source Source
	At     time.Time // the source's own time, not ours
	Kind   FactKind
	By     string // what told it: an event's id, a file and row
}

// IsZero reports whether nobody told.
func (s Stamp) IsZero() bool { return s.Source == "" }

// Said is a value with whoever told it. A zero Value under a stamp is knowledge:
// somebody said that there is none.
type Said[T any] struct {
	Value T
	Stamp Stamp
}

// Known reports whether anybody said anything.
func (s Said[T]) Known() bool { return !s.Stamp.IsZero() }

// Period is what kind of time a subscription's transaction buys.
type Period string

// The periods.
const (
	PeriodNormal      Period = "normal"
	PeriodTrial       Period = "trial"
	PeriodIntro       Period = "intro"
	PeriodPromotional Period = "promotional"
	PeriodPrepaid     Period = "prepaid"
	PeriodTemporary   Period = "temporary" // the store could not be asked; short access on credit
)

// Ownership tells a purchase from one that a family member shares.
type Ownership string

// The ownerships.
const (
	OwnershipPurchased Ownership = "purchased"
	OwnershipFamily    Ownership = "family_shared"
)

// Intent is what is going to happen at the end of the period. It takes nothing away
// by itself.
type Intent struct {
	Code    string    // renew, cancelled, billing_issue, paused, product_change
	Detail  string    // the provider's reason, or the product chosen
	Resumes time.Time // of paused: when it is to go on
}

// The intents' codes.
const (
	IntentRenew         = "renew"
	IntentCancelled     = "cancelled"
	IntentBillingIssue  = "billing_issue"
	IntentPaused        = "paused"
	IntentProductChange = "product_change"
)

// Price is what was paid, in millionths of a unit of the currency (ISO 4217).
type Price struct {
	Currency string
	Micros   int64
}

// Refund says whether the money went back. The zero Refund: it did not.
type Refund struct {
	At       time.Time // zero: not refunded
	Reversed bool      // it was, and the refund was taken back
}

// Purchase is everything known of one transaction: per thing, the newest word on
// it. It is a value to be joined, see Merge.
type Purchase struct {
	Key PurchaseKey

	Owner       Said[string] // the App User ID it belongs to, before transfers; see OwnerOf
	Buyer       Said[string] // the App User ID it belonged to first: here the OLDEST word wins
	Product     Said[string] // the store's product id; Google's with its base plan, product:plan
	Original    Said[string] // the first transaction of the subscription
	PurchasedAt Said[time.Time]
	Quantity    Said[int64]
	Ownership   Said[Ownership]
	Period      Said[Period]
	Renewal     Said[int64] // number of the period, from 1
	Paid        Said[Price] // in the currency of the purchase, before refunds
	PaidUSD     Said[int64] // millionths of a dollar, before refunds

	ExpiresAt  Said[time.Time] // end of the period as sold; zero and known: never
	GraceUntil Said[time.Time] // billing failed and access goes on until then; zero: none
	EndedAt    Said[time.Time] // the store ended it then; zero: it did not
	Refund     Said[Refund]
	Intent     Said[Intent]
}

// Confirmed reports whether anybody but the player said that the purchase exists,
// and what it is of.
func (p Purchase) Confirmed() bool {
	return p.Product.Known() && p.Product.Stamp.Source != FromClaim && p.PurchasedAt.Known()
}

// Refunded reports whether the money went back, as far as is known.
func (p Purchase) Refunded() bool { return !p.Refund.Value.At.IsZero() }

// Units is how many were bought: 1 when nobody told.
func (p Purchase) Units() int64 { return max(1, p.Quantity.Value) }

// PurchaseFact is one statement about one purchase. A zero or nil field says
// nothing; a pointer to a zero value says that there is none.
type PurchaseFact struct {
	Key    PurchaseKey `json:"-"` // these five are columns where a fact is stored
	Source Source      `json:"-"`
	Kind   FactKind    `json:"-"`
	At     time.Time   `json:"-"` // the source's own time: event_timestamp_ms, updated_at, when the call started
	By     string      `json:"-"` // the event's id, the file and row, the call

	AppUserID   string     `json:",omitzero"`
	Buyer       string     `json:",omitzero"` // who it belonged to at first, where the source knows (API: original_customer_id)
	Product     string     `json:",omitzero"`
	Original    string     `json:",omitzero"`
	PurchasedAt time.Time  `json:",omitzero"`
	Quantity    int64      `json:",omitzero"`
	Ownership   Ownership  `json:",omitzero"`
	Period      Period     `json:",omitzero"`
	Renewal     int64      `json:",omitzero"`
	Paid        *Price     `json:",omitzero"`
	PaidUSD     *int64     `json:",omitzero"`
	ExpiresAt   *time.Time `json:",omitzero"`
	GraceUntil  *time.Time `json:",omitzero"`
	EndedAt     *time.Time `json:",omitzero"`
	Refund      *Refund    `json:",omitzero"`
	Intent      *Intent    `json:",omitzero"`
}
