package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/operations"
)

// pausesPage is what pauses.html shows.
type pausesPage struct {
	Pauses []operations.Pause
	Scopes []scopeChoice
}

// scopeChoice is what can be paused of one sort.
type scopeChoice struct {
	Scope operations.Scope
	Names []string
	About string
}

// scopes are what can be paused.
func (c *Console) scopes() []scopeChoice {
	var items, currencies []string
	for id, item := range c.Catalog().Items {
		items = append(items, id)
		for currency := range item.Price {
			currencies = append(currencies, string(currency))
		}
	}
	list := []scopeChoice{
		{operations.PauseConsumer, slices.Clone(c.Consumers), "Its deliveries wait. Nothing is lost, and its lag grows."},
		{operations.PauseLane, slices.Clone(c.Lanes), "The deliveries of a lane wait, of all consumers."},
		{operations.PauseItem, items, "No new spend of it is accepted (403). Those accepted before go on."},
		{operations.PauseCurrency, currencies, "No new spend that costs it, and no grant of it, is accepted (403). Those accepted before go on."},
	}
	for i := range list {
		slices.Sort(list[i].Names)
		list[i].Names = slices.Compact(list[i].Names)
	}
	return list
}

func (c *Console) pauses(q *request) error {
	var page pausesPage
	var err error
	if page.Pauses, err = c.Operations.Pauses(q.Context()); err != nil {
		return err
	}
	page.Scopes = c.scopes()
	return c.show(q, "pauses", "Pauses", page)
}

func (c *Console) pauseRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"pauses", c.page(c.pauses))
	c.act(mux, "pauses/pause", Operator, func(q *request) error {
		scope, name := operations.Scope(q.PostForm.Get("scope")), strings.TrimSpace(q.PostForm.Get("name"))
		if !slices.ContainsFunc(c.scopes(), func(k scopeChoice) bool { return k.Scope == scope && slices.Contains(k.Names, name) }) {
			return bad("There is no %s of the name %q. Nothing was paused.", scope, mask(name))
		}
		last, err := time.ParseDuration(cmp.Or(q.PostForm.Get("for"), "0s"))
		if err != nil {
			return bad("%q is not a time such as 30m. Nothing was paused.", mask(q.PostForm.Get("for")))
		}
		if err := c.Operations.PauseFor(q.Context(), q.who(), q.reason(), scope, name, last); err != nil {
			return told(err)
		}
		return q.back("pauses", "paused")
	})
	c.act(mux, "pauses/resume", Operator, func(q *request) error {
		if err := c.Operations.Resume(q.Context(), q.who(), q.reason(), operations.Scope(q.PostForm.Get("scope")), q.PostForm.Get("name")); err != nil {
			return told(err)
		}
		return q.back("pauses", "resumed")
	})
}
