package audit

import (
	"cmp"
	"fmt"
	"slices"
)

// Kind says what is wrong, as a stable code.
type Kind string

// The kinds of findings.
const (
	LineMissing    Kind = "line_missing"    // a spend's state asks for a line that is not there
	LineExtra      Kind = "line_extra"      // a line that its spend's state does not ask for
	LineAmount     Kind = "line_amount"     // a line with another amount than its spend's cost
	LinePlayer     Kind = "line_player"     // a line of another player than its spend's
	LineAccounts   Kind = "line_accounts"   // a line that takes from or gives to the wrong account
	LineOrphan     Kind = "line_orphan"     // a line whose spend does not exist
	NotApplied     Kind = "not_applied"     // a spend that moved a balance without a call at the provider that was applied
	NotBound       Kind = "not_bound"       // a call that was applied with another sum than its spends cost
	NotSent        Kind = "not_sent"        // a call that was applied, on record with another sum than its stored body
	CostWrong      Kind = "cost_wrong"      // a spend that does not cost what its version of the catalogue says
	CatalogChanged Kind = "catalog_changed" // a version of the catalogue that is not what was stored
	ActMissing     Kind = "act_missing"     // a spend taken back, of which no act of an operator tells
	ItemMissing    Kind = "item_missing"    // a fulfilled spend whose item is not in the inventory
	ItemExtra      Kind = "item_extra"      // an item in the inventory that no fulfilled spend accounts for
	MovementWrong  Kind = "movement_wrong"  // a movement of the provider with wrong accounts, or of an adjustment that does not account for it
	CorrectionSums Kind = "correction_sums" // a correction that does not lead from its before to its after, or of which no act tells
)

// Watched are the kinds of findings that the watcher makes, for whoever counts them.
var Watched = []Kind{
	LineMissing, LineExtra, LineAmount, LinePlayer, LineAccounts, LineOrphan, NotApplied, NotBound, NotSent, CostWrong, CatalogChanged,
	ActMissing, ItemMissing, ItemExtra, MovementWrong, CorrectionSums,
}

// Finding is one thing that is wrong.
type Finding struct {
	Kind      Kind   `db:"kind" json:"kind"`
	Subject   string `db:"subject" json:"subject"` // the spend's id, or the movement's, correction's, adjustment's
	Line      string `db:"line" json:"line"`       // the kind of the ledger's line, or the item
	Currency  string `db:"currency" json:"currency,omitempty"`
	AppUserID string `db:"app_user_id" json:"app_user_id"`
	Units     int64  `db:"units" json:"units"` // what is there less what should be, in units of the currency or pieces of the item
	Detail    string `db:"detail" json:"detail"`
}

// String says what is wrong in one line, with the player.
func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s", f.Kind, f.Subject)
	if f.AppUserID != "" {
		text += " of player " + f.AppUserID
	}
	return text + ": " + f.Detail
}

func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Currency, b.Currency))
}

// sorted returns the findings in order, each once.
func sorted(list []Finding) []Finding {
	slices.SortFunc(list, compareFindings)
	return slices.CompactFunc(list, func(a, b Finding) bool { return compareFindings(a, b) == 0 })
}

// subjectsOf returns the subjects of findings about one kind of thing, each once.
func subjectsOf(list []Finding, about string) []string {
	var ids []string
	for _, f := range list {
		if f.Kind.about() == about {
			ids = append(ids, f.Subject)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// What a finding's subject is.
const (
	aSpend, aCall, aVersion = "spend", "call", "version"
	anEntry                 = "entry" // of the provider's movements or the corrections
)

func (k Kind) about() string {
	switch k { //nolint:exhaustive // all others are about spends
	case NotBound, NotSent:
		return aCall
	case CatalogChanged:
		return aVersion
	case MovementWrong, CorrectionSums:
		return anEntry
	}
	return aSpend
}
