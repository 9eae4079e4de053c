package gemstore

// lostJourney returns a purchase that no webhook tells of. The app has told of it, so
// RevenueCat is asked, and the purchase arrives all the same.
func lostJourney(b bought, t told) Journey {
	j := Journey{ID: b.id, Kind: "purchase", Title: b.title, Amounts: moneyOf(b.brings), Began: b.at}
	paid := Hop{Name: "Paid", Place: "the app store", Light: Done, Note: "RevenueCat credited it at once"}
	webhook := Hop{Name: "Webhook", Place: "RevenueCat", Light: Refused, Note: "lost, every attempt of it"}
	claim := Hop{Name: "Claim", Place: "PostgreSQL", Light: Working, Note: "the app tells of it"}
	reading := Hop{Name: "Reading", Place: "RevenueCat", Light: Dark}
	wallet := Hop{Name: "Wallet", Place: "our copy", Light: Dark}
	j.Happened = "The store took the money and RevenueCat credited " + b.brings.String() + ". Its webhook was lost."
	j.Now, j.Next = "The app tells us of the purchase, as it does of every one.", "Its word gives nothing: it is shown as pending."
	if !t.claimedAt.IsZero() {
		claim.Light, claim.After, claim.Note = Done, duration(t.claimedAt.Sub(b.at)), "pending; a word gives nothing"
		reading.Light, reading.Note = Waiting, "a webhook may still come"
		j.Now, j.Next = "The purchase is pending: anybody could say so.", "After half a minute without a webhook Sluice asks RevenueCat itself."
	}
	if !t.recordedAt.IsZero() {
		reading.Light, reading.After, reading.Note, wallet.Light = Done, duration(t.recordedAt.Sub(b.at)), "RevenueCat knows it", Working
		j.Now, j.Next = "Our copy of your balance is read again from RevenueCat.", "RevenueCat's balance is the one that counts."
	}
	if !t.recordedAt.IsZero() && !t.claimedAt.IsZero() && t.readAt.After(t.claimedAt) {
		wallet.Light, wallet.After = Done, duration(t.readAt.Sub(b.at))
		j.Over, j.Good = true, true
		j.Now = "Done: the gems are in your wallet, without any webhook."
		j.Next = "Only our ledger lacks the line that the webhook would have brought; RevenueCat's export has it (sluice backfill currency --record)."
	}
	j.Hops = []Hop{paid, webhook, claim, reading, wallet}
	return j
}
