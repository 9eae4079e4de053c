package gemstore

import (
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
)

// Light is how a hop's lamp looks.
type Light string

// The lights.
const (
	Dark    Light = "dark"    // not reached
	Working Light = "working" // here, now
	Waiting Light = "waiting" // here, and something is in the way: it is tried again
	Done    Light = "done"
	Refused Light = "refused" // definitely not
)

// Hop is one station of a journey.
type Hop struct {
	Name  string `json:"name"`
	Place string `json:"place"` // what keeps or does it
	Light Light  `json:"light"`
	After string `json:"after,omitempty"` // how long after the beginning it was done, such as "12 ms"
	Note  string `json:"note,omitempty"`
}

// Journey is a spend, a grant or a purchase on its way, as the page shows it.
type Journey struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"` // spend, grant, purchase
	Title    string    `json:"title"`
	Amounts  []Money   `json:"amounts"`
	Began    time.Time `json:"began"`
	Over     bool      `json:"over"`
	Good     bool      `json:"good"` // over, and the player has what was wanted
	Hops     []Hop     `json:"hops"`
	Happened string    `json:"happened"`
	Now      string    `json:"now"`
	Next     string    `json:"next"`
}

// Passing is what surrounds a journey and is not written down with it.
type Passing struct {
	Seen   func(eventID string) (first, last time.Time, times int) // when a message was seen on the stream
	Wiped  time.Time                                               // when the stream was wiped here
	Behind bool                                                    // an earlier spend of the player waits to be charged
}

// lost reports whether a message cannot be on the stream any more: it was wiped since.
func (p Passing) lost(eventID string) bool {
	_, last, times := p.Seen(eventID)
	return times > 0 && p.Wiped.After(last)
}

// spendView is what the hops of a spend are made of.
type spendView struct {
	books.Story
	Passing
	now   time.Time
	item  economy.Item // the zero Item: the catalogue does not have it any more
	charg *books.StoryAdjustment
	back  *books.StoryAdjustment // the refund
}

// SpendJourney returns a spend or grant as the page shows it. It is a pure function
// of what is written down and what was seen.
func SpendJourney(story books.Story, item economy.Item, passing Passing, now time.Time) Journey {
	v := spendView{Story: story, Passing: passing, now: now, item: item}
	for i, a := range story.Adjustments {
		if a.Purpose == "refund" {
			v.back = &story.Adjustments[i]
		} else {
			v.charg = &story.Adjustments[i]
		}
	}
	s := story.Spend
	j := Journey{ID: s.ID, Kind: s.Kind.String(), Title: s.Item, Amounts: moneyOf(s.Cost), Began: s.AcceptedAt, Over: s.State.Final()}
	if item.Name != "" {
		j.Title = item.Name
	}
	j.Good = s.State == economy.Fulfilled
	j.Hops = []Hop{v.outbox(), v.stream(), v.charge()}
	if s.Kind == economy.KindGrant {
		j.Title = "Quest reward"
		j.Hops = append(j.Hops, v.granted())
	} else {
		j.Hops = append(j.Hops, v.handOver(), v.end())
	}
	j.Happened, j.Now, j.Next = v.tell()
	return j
}

func (v spendView) after(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return duration(at.Sub(v.Spend.AcceptedAt))
}

func (v spendView) outbox() Hop {
	return Hop{Name: "Outbox", Place: "PostgreSQL", Light: Done, Note: "spend and message in one commit"}
}

// requested, charged and refunding are the ids of the spend's messages.
func (v spendView) requested() string { return events.EventID(events.SpendRequestedV1, v.Spend.ID) }
func (v spendView) charged() string   { return events.EventID(events.SpendChargedV1, v.Spend.ID) }
func (v spendView) refunding() string { return events.EventID(events.SpendRefundingV1, v.Spend.ID) }

// owed returns what a message is still owed.
func (v spendView) owed(eventID string) books.StoryDelivery {
	at := slices.IndexFunc(v.Owed, func(d books.StoryDelivery) bool { return d.EventID == eventID })
	if at < 0 {
		return books.StoryDelivery{}
	}
	return v.Owed[at]
}

// parked reports whether a delivery waits in the outbox for a later attempt.
func (v spendView) parked(d books.StoryDelivery) bool { return d.Attempts > 0 && d.At.After(v.now) }

// overdue is how long a message may take to the stream before that is worth a word.
const overdue = time.Second

func (v spendView) stream() Hop {
	h := Hop{Name: "Stream", Place: "JetStream", Light: Done}
	first, _, times := v.Seen(v.requested())
	h.After = v.after(first)
	if times > 1 {
		h.Note = "published " + count(int64(times), "time")
	}
	switch {
	case v.Spend.State != economy.Requested || v.charg != nil:
	case v.lost(v.requested()):
		h.Light, h.Note = Waiting, "wiped; the outbox still owes it"
	case times > 0:
	case v.now.Sub(v.Spend.AcceptedAt) > overdue:
		h.Light, h.Note = Waiting, "not seen there; the outbox still owes it"
	default:
		h.Light = Working
	}
	return h
}

func (v spendView) charge() Hop {
	h := Hop{Name: "Charge", Place: "RevenueCat", Light: Done, After: v.after(v.Spend.ChargedAt)}
	if v.Spend.Kind == economy.KindGrant {
		h.Name, h.After = "Credit", v.after(v.Spend.FinishedAt)
	}
	switch {
	case v.Spend.State == economy.Declined:
		h.Light, h.Note = Refused, declined(v.Spend.Reason)
	case v.Spend.State != economy.Requested:
		if v.charg != nil && v.charg.Attempts > 1 {
			h.Note = "at attempt " + number(v.charg.Attempts) + ", same key"
		}
	case v.charg != nil:
		h.Light, h.Note = v.calling(v.charg)
	case v.Behind:
		h.Light, h.Note = Waiting, "an earlier spend of yours goes first"
	case v.owed(v.requested()).LastError != "":
		h.Light, h.Note = Waiting, "waits for its turn"
	default:
		_, _, times := v.Seen(v.requested())
		if h.Light = Dark; times > 0 && !v.lost(v.requested()) {
			h.Light = Working
		}
	}
	return h
}

// calling is the lamp of a call to the provider whose outcome is open.
func (v spendView) calling(a *books.StoryAdjustment) (Light, string) {
	attempt := "attempt " + number(a.Attempts)
	if a.LeasedUntil != nil && a.LeasedUntil.After(v.now) {
		if a.UnknownSince != nil {
			return Waiting, attempt + "; an answer was lost"
		}
		return Working, attempt + " under way"
	}
	if a.Unknown() {
		return Waiting, attempt + " went unanswered"
	}
	return Waiting, attempt + " failed; not charged"
}

func (v spendView) handOver() Hop {
	h := Hop{Name: "Hand-over", Place: v.place(), Light: Dark}
	switch v.Spend.State {
	case economy.Charged:
		h.Light = Working
		if owed := v.owed(v.charged()); owed.Attempts > 0 {
			h.Light, h.Note = Waiting, count(owed.Attempts, "attempt")
		} else if v.lost(v.charged()) {
			h.Light, h.Note = Waiting, "wiped; the outbox still owes it"
		} else if v.now.Sub(v.Spend.ChargedAt) > overdue {
			h.Light, h.Note = Waiting, "no answer yet"
		}
	case economy.Fulfilled:
		h.Light, h.After = Done, v.after(v.Spend.FinishedAt)
	case economy.Refunding, economy.Refunded:
		h.Light, h.Note = Refused, "not handed over"
	case economy.Requested, economy.Declined:
	}
	return h
}

// place is who hands the item over.
func (v spendView) place() string {
	switch v.item.HandOver.Port {
	case economy.HandOverHTTP:
		return "the game's server"
	case economy.HandOverRefuse:
		return "always refused"
	}
	return "Sluice's inventory"
}

func (v spendView) end() Hop {
	h := Hop{Name: "Yours", Place: "the player", Light: Dark}
	switch v.Spend.State {
	case economy.Fulfilled:
		h.Light, h.After = Done, v.after(v.Spend.FinishedAt)
	case economy.Declined:
		h.Name, h.Note = "Nothing taken", "nothing was charged"
	case economy.Refunding:
		h.Name, h.Place, h.Light = "Gems back", "RevenueCat", Working
		if v.back != nil {
			h.Light, h.Note = v.calling(v.back)
		} else if owed := v.owed(v.refunding()); owed.Attempts > 0 {
			h.Light, h.Note = Waiting, "takes the item back first"
		}
	case economy.Refunded:
		h.Name, h.Place, h.Light, h.After = "Gems back", "RevenueCat", Done, v.after(v.Spend.FinishedAt)
	case economy.Requested, economy.Charged:
	}
	return h
}

// granted is the last hop of a grant.
func (v spendView) granted() Hop {
	h := Hop{Name: "Yours", Place: "the player", Light: Dark}
	if v.Spend.State == economy.Fulfilled {
		h.Light, h.After = Done, v.after(v.Spend.FinishedAt)
	}
	return h
}
