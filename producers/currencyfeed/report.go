package currencyfeed

import "time"

// Report is what a comparison found. Lists are cut at listMax; counts are not.
type Report struct {
	Files    []string  `json:"files"`
	LeftOut  int       `json:"files_of_older_snapshots"`
	Warnings []string  `json:"warnings,omitempty"`
	Rows     int64     `json:"rows"`
	Rejected int64     `json:"rejected"`
	From     time.Time `json:"from"`  // of the oldest row
	Until    time.Time `json:"until"` // of the newest one: the snapshot was taken after
	DryRun   bool      `json:"dry_run"`

	Ours      int64 `json:"ours"`      // changes that both ledgers have, with the same sums
	Known     int64 `json:"known"`     // changes of the provider's own that we have
	Differing int64 `json:"differing"` // changes of ours with other sums, or that we hold for refused
	Lacking   int64 `json:"lacking"`   // changes of ours that the feed should have and lacks
	Nobodys   int64 `json:"nobodys"`   // changes that our ledger does not have
	Recorded  int64 `json:"recorded"`  // of them, written into our ledger by this run

	Settled   []Settlement `json:"settled"`
	Unsettled []Settlement `json:"unsettled"` // calls of unknown outcome that the feed does not decide
	Differs   []Change     `json:"differs"`
	Lacks     []Change     `json:"lacks"`
	Movements []Change     `json:"movements"` // the changes that are nobody's
}

// Wrong reports whether something is there that a person must look at: not movements
// that are nobody's, which are usual on the first day.
func (r Report) Wrong() bool { return r.Differing > 0 || r.Lacking > 0 || r.Rejected > 0 }

// listMax bounds each list of a report.
const listMax = 1000

// Settlement is a call of unknown outcome, and what the feed says of it.
type Settlement struct {
	AdjustmentID string `db:"id" json:"adjustment_id"`
	SpendID      string `db:"spend_id" json:"spend_id"`
	AppUserID    string `db:"app_user_id" json:"app_user_id"`
	Purpose      string `db:"purpose" json:"purpose"`
	Applied      bool   `db:"-" json:"applied"`
	Evidence     string `db:"-" json:"evidence"` // or why it is not settled
}

// Change is a change of a balance that one ledger tells and the other does not, or
// not so.
type Change struct {
	Key           string    `db:"key" json:"idempotency_key"`
	AppUserID     string    `db:"app_user_id" json:"app_user_id"`
	Currency      string    `db:"currency" json:"currency"`
	Units         int64     `db:"units" json:"units"` // by the feed; 0: it lacks it
	Ours          int64     `db:"ours" json:"ours"`   // by our ledger; 0: it lacks it
	State         string    `db:"state" json:"state"` // of our call, or the feed's type
	At            time.Time `db:"at" json:"at"`
	TransactionID string    `db:"transaction_id" json:"transaction_id,omitempty"`
	File          string    `db:"file" json:"file,omitempty"`
	Line          int64     `db:"line" json:"line,omitempty"`
}
