package console

import (
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

// spendPage is what spend.html shows.
type spendPage struct {
	Spend    economy.Spend
	Grant    bool
	Timeline []moment
	Story    books.Story
	Refund   *operations.RefundRequest // that waits for a second person
	Acts     []spendAct
	Settle   []string // the commands that settle a call of unknown outcome
}

// spendAct is a form that does something to a spend.
type spendAct struct {
	To, Title, About, Button string
	Grave                    bool
}

func (c *Console) spend(q *request) error {
	story, err := c.Books.Story(q.Context(), q.PathValue("id"))
	if errors.Is(err, books.ErrNotFound) {
		return missing("No spend has the id %s.", mask(q.PathValue("id")))
	}
	if err != nil {
		return err
	}
	page := spendPage{Spend: story.Spend, Grant: story.Spend.Kind == economy.KindGrant, Story: story}
	if page.Timeline, err = c.timeline(q.Context(), story); err != nil {
		return err
	}
	if page.Refund, err = c.Operations.RefundAsked(q.Context(), story.Spend.ID); err != nil {
		return err
	}
	if q.session.CanOperate() {
		page.Acts = spendActs(story.Spend, page.Refund != nil)
	}
	for _, a := range story.Adjustments {
		if a.Unknown() {
			for _, word := range []string{"charged", "not-charged"} {
				page.Settle = append(page.Settle, fmt.Sprintf("sluice spend settle %s --attempt %d --%s --reason '...'", story.Spend.ID, a.Attempt, word))
			}
		}
	}
	return c.show(q, "spend", "Spend "+story.Spend.ID, page)
}

// spendActs are the acts that a spend's state allows.
func spendActs(s economy.Spend, asked bool) []spendAct {
	var acts []spendAct
	at := "spends/" + s.ID + "/"
	if s.State == economy.Requested {
		acts = append(acts, spendAct{To: at + "cancel", Title: "Cancel", Button: "Cancel this " + s.Kind.String(), Grave: true,
			About: "Declines it before anything is charged. The database decides whether the charge was faster."})
	}
	switch {
	case s.Held:
		acts = append(acts, spendAct{To: at + "release", Title: "Release", Button: "Release", About: "It goes on within some seconds."})
	case s.State == economy.Requested || s.State == economy.Refunding:
		acts = append(acts, spendAct{To: at + "hold", Title: "Hold", Button: "Hold", About: "No call to the provider is begun for it. One under way is still settled."})
	}
	if s.State == economy.Fulfilled && s.Kind == economy.KindSpend && !asked {
		acts = append(acts, spendAct{To: at + "refund", Title: "Refund", Button: "Refund " + amountsOf(s.Cost), Grave: true,
			About: "Takes the item back first, then gives the cost back. Above the limit of one person it waits for a second one."})
	}
	if s.State == economy.Refunding && s.NeedsOperator != "" {
		acts = append(acts, spendAct{To: at + "refund-again", Title: "Try the refund again", Button: "Try again", About: s.NeedsOperator})
	}
	if s.State == economy.Refunding && s.Reason == economy.OperatorRefund && s.RevokedAt.IsZero() {
		acts = append(acts, spendAct{To: at + "refund-give-up", Title: "Give the refund up", Button: "Give it up", Grave: true,
			About: "The item stays and the cost stays spent, for good: it cannot be refunded again. Refused once the game's server was asked for the item, unless it answered that the player keeps it."})
	}
	return acts
}
