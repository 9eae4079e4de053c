package operations

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// RefundRequest is a refund that needs a second person.
type RefundRequest struct {
	ID         string          `db:"id" json:"id"`
	SpendID    string          `db:"spend_id" json:"spend_id"`
	Player     string          `db:"app_user_id" json:"app_user_id"`
	Cost       economy.Amounts `db:"-" json:"cost"`
	AskedAt    time.Time       `db:"asked_at" json:"asked_at"`
	AskedBy    string          `db:"asked_by" json:"asked_by"`
	AskedLogin string          `db:"asked_login" json:"asked_login"`
	Reason     string          `db:"reason" json:"reason"`
	State      RequestState    `db:"state" json:"state"`
	DecidedAt  *time.Time      `db:"decided_at" json:"decided_at,omitempty"`
	DecidedBy  string          `db:"decided_by" json:"decided_by,omitempty"`
	DecidedWhy string          `db:"decided_why" json:"decided_why,omitempty"`
}

// RequestState is where a request stands.
type RequestState string

// The states of a request.
const (
	Asked    RequestState = "asked"
	Approved RequestState = "approved"
	Refused  RequestState = "refused"
)

// Refunding is what came of a wish to refund.
type Refunding struct {
	Spend   economy.Spend  // refunding; unchanged when a second person is needed
	Request *RefundRequest // what a second person is to approve; nil: nobody is needed
}
