package economy

// OnlyStatement returns the statement that a record consists of when no other was ever
// joined with it: Merge of it and nothing gives the record again. ok is false for a
// record of several, and for one that tells nothing, of which nobody can say who told it.
//
// So the statement that a purchase began with need not be written down beside its
// record before a second one changes the record.
func OnlyStatement(p Purchase) (fact PurchaseFact, ok bool) {
	stamp, ok := onlyStamp(&p)
	if !ok {
		return PurchaseFact{}, false
	}
	fact = PurchaseFact{
		Key: p.Key, Source: stamp.Source, Kind: stamp.Kind, At: stamp.At, By: stamp.By,
		AppUserID: p.Owner.Value, Product: p.Product.Value, Original: p.Original.Value, PurchasedAt: p.PurchasedAt.Value,
		Quantity: p.Quantity.Value, Ownership: p.Ownership.Value, Period: p.Period.Value, Renewal: p.Renewal.Value,
		Paid: pointed(p.Paid), PaidUSD: pointed(p.PaidUSD),
		ExpiresAt: pointed(p.ExpiresAt), GraceUntil: pointed(p.GraceUntil), EndedAt: pointed(p.EndedAt),
		Refund: pointed(p.Refund), Intent: pointed(p.Intent),
	}
	if p.Buyer != p.Owner {
		fact.Buyer = p.Buyer.Value
	}
	return fact, PurchaseOf(fact) == p
}

// onlyStamp returns the stamp of all that a record tells. The buyer's may be older, see
// PurchaseOf: it counts where nothing else was told.
func onlyStamp(p *Purchase) (only Stamp, ok bool) {
	for _, stamp := range p.Stamps() {
		switch {
		case stamp.IsZero() || stamp == &p.Buyer.Stamp:
		case only.IsZero():
			only = *stamp
		case only != *stamp:
			return Stamp{}, false
		}
	}
	if only.IsZero() {
		only = p.Buyer.Stamp
	}
	return only, !only.IsZero()
}

// pointed is what a fact points to for what was told of something, or not.
func pointed[T any](s Said[T]) *T {
	if !s.Known() {
		return nil
	}
	return &s.Value
}

// Tells reports whether a record tells anything.
func (p *Purchase) Tells() bool {
	for _, stamp := range p.Stamps() {
		if !stamp.IsZero() {
			return true
		}
	}
	return false
}
