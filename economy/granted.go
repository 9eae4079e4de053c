package economy

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// GrantReason says why a line of what purchases brought was written.
type GrantReason string

// The reasons.
const (
	GrantCredited GrantReason = "credited" // the purchase came to the customer
	GrantRevoked  GrantReason = "revoked"  // refunded, transferred away, or merged elsewhere
	GrantRestored GrantReason = "restored" // a revocation was taken back
)

// GrantLine is one entry of what a purchase brought to a customer. Lines are only
// ever added; their sum is what is granted.
type GrantLine struct {
	PurchaseGrant
	Number int64 // of this purchase, kind and name at this customer, from 1
	Reason GrantReason
}

// grantOf is what a line counts.
type grantOf struct {
	purchase PurchaseKey
	kind     GrantedKind
	name     string
}

func (g PurchaseGrant) of() grantOf { return grantOf{g.Purchase, g.Kind, g.Name} }

// GrantLines returns the lines that bring what was granted so far (all lines of one
// customer) to what a fold says. The same lines again need none: the result is
// empty then. Quantities are signed.
func GrantLines(written []GrantLine, want []PurchaseGrant) []GrantLine {
	sums, numbers := map[grantOf]int64{}, map[grantOf]int64{}
	versions := map[grantOf]int64{}
	for _, line := range written {
		of := line.of()
		sums[of] += line.Quantity
		numbers[of] = max(numbers[of], line.Number)
		versions[of] = line.CatalogVersion
	}
	var lines []GrantLine
	add := func(of grantOf, delta, version int64) {
		reason := GrantRevoked
		switch {
		case delta == 0:
			return
		case delta > 0 && numbers[of] == 0:
			reason = GrantCredited
		case delta > 0:
			reason = GrantRestored
		}
		numbers[of]++
		lines = append(lines, GrantLine{PurchaseGrant{of.purchase, of.kind, of.name, delta, version}, numbers[of], reason})
	}
	wanted := map[grantOf]bool{}
	for _, grant := range want {
		of := grant.of()
		wanted[of] = true
		add(of, grant.Quantity-sums[of], grant.CatalogVersion)
	}
	for _, of := range slices.SortedFunc(maps.Keys(sums), compareGrantOf) {
		if !wanted[of] {
			add(of, -sums[of], versions[of])
		}
	}
	return lines
}

func compareGrantOf(a, b grantOf) int {
	return cmp.Or(ComparePurchaseKeys(a.purchase, b.purchase), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

// AccessChanges returns what becomes of a customer's accesses: those a fold says
// that are new or other than before, and those of before that it does not mention
// any more, revoked as of now. It is empty when nothing changed.
func AccessChanges(before, after []Access, now time.Time) []Access {
	was := map[string]Access{}
	for _, access := range before {
		was[access.Module] = access
	}
	var changes []Access
	for _, access := range after {
		if old, had := was[access.Module]; !had || !old.equal(access) {
			changes = append(changes, access)
		}
		delete(was, access.Module)
	}
	for _, module := range slices.Sorted(maps.Keys(was)) {
		if old := was[module]; old.Cause != CauseGone {
			old.State, old.Cause = AccessRevoked, CauseGone
			if old.ExpiresAt.IsZero() || now.Before(old.ExpiresAt) {
				old.ExpiresAt = now
			}
			changes = append(changes, old)
		}
	}
	return changes
}

func (a Access) equal(b Access) bool {
	return a.Module == b.Module && a.State == b.State && a.Cause == b.Cause && a.Purchase == b.Purchase && a.ExpiresAt.Equal(b.ExpiresAt)
}
