package gemstore

import (
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// tell says in three short texts what happened, where the spend is, and what Sluice
// does next.
func (v spendView) tell() (happened, now, next string) {
	s := v.Spend
	cost := s.Cost.String()
	if s.Kind == economy.KindGrant {
		return v.tellGrant(cost)
	}
	accepted := "Your tap was written to PostgreSQL: the spend and its message, in one commit."
	switch s.State {
	case economy.Requested:
		now, next = v.tellRequested(v.requested())
		return accepted, now, next
	case economy.Charged:
		happened = "RevenueCat took " + cost + ", once. The charge and the next message are one commit."
		now, next = v.tellHandOver()
		return happened, now, next
	case economy.Fulfilled:
		return v.chargedHow(cost) + " Then " + v.handedBy() + ".", "Done: the item is yours, " + duration(s.FinishedAt.Sub(s.AcceptedAt)) + " after the tap.",
			"Nothing. The same key again gets this same answer."
	case economy.Declined:
		return accepted + " " + declinedHow(s.Reason), "Done: nothing was charged, nothing is owed.", "Nothing. A new tap is a new spend."
	case economy.Refunding:
		happened = "RevenueCat took " + cost + ", but the item could not be handed over."
		now = "The game confirms that you do not have the item, then " + cost + " go back."
		if v.back != nil {
			now = "The refund of " + cost + " is on its way to RevenueCat, under a key of its own."
		}
		return happened, now, "It is tried until it is done. A refund is never given up and never made twice."
	case economy.Refunded:
		return "RevenueCat took " + cost + "; the item could not be handed over, so " + cost + " went back.", "Done: you have the gems again, and not the item.",
			"Nothing. Charged = handed over + given back: the books balance."
	}
	return accepted, "", ""
}

func (v spendView) tellGrant(amount string) (happened, now, next string) {
	accepted := "The game's server gave you " + amount + ": written to PostgreSQL like a spend."
	switch v.Spend.State {
	case economy.Fulfilled:
		return accepted, "Done: RevenueCat credited " + amount + ".", "Nothing. The same reward is never given twice."
	case economy.Declined:
		return accepted, "Done: RevenueCat refused it. Nothing was given.", "Nothing."
	default: // a grant is requested until then
	}
	now, next = v.tellRequested(v.requested())
	return accepted, now, next
}

// tellRequested tells of what waits for the provider.
func (v spendView) tellRequested(message string) (now, next string) {
	owed := v.owed(message)
	a := v.charg
	switch {
	case a != nil && a.UnknownSince != nil:
		return "RevenueCat was asked and the answer was lost: nobody knows yet whether it charged.",
			"It asks again under the same key and the same bytes, so that it cannot charge twice. " + v.when(owed)
	case a != nil && a.Attempts > 1, a != nil && a.LeasedUntil == nil:
		return "RevenueCat was asked and did not charge. The key and the exact request are kept.", "The same request goes out again. " + v.when(owed)
	case a != nil:
		return "The charge is bound to one key and one body, and RevenueCat is being asked.", "It waits for the answer."
	case v.Behind:
		return "It waits for your earlier spend: a player's spends are charged in the order of the taps.",
			"It is charged with the next call, together with everything else that waits. Other players do not wait for you."
	case v.lost(message):
		return "Its message was wiped from the stream. The outbox row is still there: that is what counts.",
			"The sweeper sees that nothing will bring it, and publishes it again within about six seconds."
	case owed.LastError != "":
		return "It waits in the outbox: " + because(owed.LastError) + ". Nothing was charged.", "It is charged as soon as that is over. " + v.when(owed)
	}
	return "Its message travels to the worker that charges.", "The worker binds it to one key, then asks RevenueCat."
}

func (v spendView) tellHandOver() (now, next string) {
	owed := v.owed(v.charged())
	switch {
	case v.lost(v.charged()):
		return "Its message was wiped from the stream. The outbox row is still there.", "The sweeper publishes it again within about six seconds."
	case owed.Attempts > 0 || v.now.Sub(v.Spend.ChargedAt) > overdue:
		return "The gems are taken and " + v.place() + " has not taken the item yet. Only its items wait.",
			"It asks again under the spend's id, until the patience is over; then the gems go back. " + v.when(owed)
	}
	return "The item is being handed over by " + v.place() + ".", "If that is refused for good, the gems go back."
}

// when says when a parked delivery is tried next.
func (v spendView) when(owed books.StoryDelivery) string {
	if !v.parked(owed) {
		return ""
	}
	return "Next attempt in " + duration(owed.At.Sub(v.now).Round(time.Second)) + "."
}

func (v spendView) chargedHow(cost string) string {
	if v.charg != nil && v.charg.Attempts > 1 {
		return "RevenueCat took " + cost + ", once, after " + count(v.charg.Attempts, "attempt") + " under one key."
	}
	return "RevenueCat took " + cost + ", once."
}

func (v spendView) handedBy() string {
	if v.item.HandOver.Port == economy.HandOverHTTP {
		return "the game's own server handed over the item"
	}
	return "the item went into your bag, in the commit that ends the spend"
}

// because is the last thing that was heard, without what only a log needs.
func because(lastError string) string {
	text := strings.TrimRight(strings.TrimSpace(lastError), ".")
	if _, why, found := strings.Cut(text, "not sent, "); found { // the budget's words
		text = why
	}
	if len(text) > whyMax {
		text = text[:whyMax] + "…"
	}
	return text
}

// whyMax bounds a text of an error on the page.
const whyMax = 120

func declined(why economy.Reason) string {
	if why == economy.InsufficientFunds {
		return "not enough"
	}
	return "refused for good"
}

func declinedHow(why economy.Reason) string {
	if why == economy.InsufficientFunds {
		return "RevenueCat says that you do not have enough."
	}
	return "RevenueCat refused it for good."
}
