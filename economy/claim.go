package economy

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ClaimState is where a player's word about a purchase stands.
type ClaimState string

// The states of a claim. Pending gives nothing; it is only shown.
const (
	ClaimPending   ClaimState = "pending"
	ClaimConfirmed ClaimState = "confirmed" // another source told of the purchase, and it is the claimant's
	ClaimRejected  ClaimState = "rejected"  // it is somebody else's, or nobody knew of it in time
)

// Claim is "I bought transaction X", said by the app.
type Claim struct {
	ID            string
	AppUserID     string
	Store         Store
	TransactionID string
	ProductID     string
	State         ClaimState
	Reason        string // of a rejected one: a stable code
	ClaimedAt     time.Time
	SettledAt     time.Time // zero while pending
}

// The reasons a claim is rejected.
const (
	ClaimOfAnother = "belongs_to_another" // the purchase is another customer's
	ClaimUnknown   = "unknown_purchase"   // the provider does not know it
	ClaimRefunded  = "refunded"           // its money went back
)

// Open reports whether the claim may still be settled otherwise: it waits, the
// provider may yet tell of its purchase, or a transfer may bring that.
func (c Claim) Open() bool {
	return c.State == ClaimPending || c.Reason == ClaimUnknown || c.Reason == ClaimOfAnother
}

// Validate returns every reason why a claim cannot be made, joined: a store that is
// not written as stores are, a transaction or product that no store would write.
func (c Claim) Validate() error {
	var problems []error
	if !storePattern.MatchString(string(c.Store)) {
		problems = append(problems, errors.New("store is not a name such as app_store or play_store"))
	}
	for _, id := range []struct {
		what, value string
		most        int
	}{{"transaction_id", c.TransactionID, transactionIDMax}, {"product_id", c.ProductID, productIDMax}} {
		if id.value == "" || len(id.value) > id.most || !utf8.ValidString(id.value) || strings.ContainsFunc(id.value, unicode.IsControl) {
			problems = append(problems, fmt.Errorf("%s is not 1 to %d printable bytes", id.what, id.most))
		}
	}
	return errors.Join(problems...)
}

// SettleClaim is what a recorded purchase says about a claim of it. mine tells
// whether the purchase belongs to the claimant's customer. An unconfirmed purchase
// leaves the claim as it is. A settled claim stays, except one that was rejected
// because nobody knew the purchase yet, or because it was another's then.
func SettleClaim(c Claim, p Purchase, mine bool, now time.Time) Claim {
	if !c.Open() || !p.Confirmed() {
		return c
	}
	settled := c
	settled.SettledAt, settled.Reason = now, ""
	switch {
	case !mine:
		settled.State, settled.Reason = ClaimRejected, ClaimOfAnother
	case p.Refunded():
		settled.State, settled.Reason = ClaimRejected, ClaimRefunded
	default:
		settled.State = ClaimConfirmed
	}
	if settled.State == c.State && settled.Reason == c.Reason { // settled so before, and then
		return c
	}
	return settled
}
