package economy

// Coalesced returns how many of a player's waiting spends, in the order they
// were accepted, are charged by one call: as many as the last known balance
// covers, at least one, at most limit. known is nil when no balance was ever
// read: then the first spend goes alone, and its answer tells the balance.
func Coalesced(waiting []Spend, known Amounts, limit int) int {
	total := Amounts{}
	for n, spend := range waiting[:min(limit, len(waiting))] {
		total = total.Plus(spend.Cost)
		if n > 0 && (known == nil || !total.coveredBy(known)) {
			return n
		}
	}
	return min(limit, len(waiting))
}

func (a Amounts) coveredBy(balances Amounts) bool {
	for currency, amount := range a {
		if amount > balances[currency] {
			return false
		}
	}
	return true
}

// DeclinedByEvidence reports whether the refusal of refused for lack of funds
// also settles a spend that costs as much or more: whatever the balance was, it
// did not cover that either. The spend must have been accepted before the call.
func DeclinedByEvidence(cost, refused Amounts) bool {
	for currency, amount := range refused {
		if cost[currency] < amount {
			return false
		}
	}
	return len(refused) > 0
}
