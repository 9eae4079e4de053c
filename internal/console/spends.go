package console

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/internal/books"
)

// spendsPage is what spends.html shows.
type spendsPage struct {
	Search   search
	From, To string // as the form writes times
	States   []string
	Found    found
	Filtered bool
	Next     template.URL // the query of the next page
}

func (c *Console) spends(q *request) error {
	s, err := parseSearch(q)
	if err != nil {
		return err
	}
	page := spendsPage{Search: s, From: formTime(s.From), To: formTime(s.To), States: sortedStates()}
	page.Filtered = s != search{}
	if page.Found, err = s.find(q.Context(), c); err != nil {
		return err
	}
	next := url.Values{}
	for name, value := range map[string]string{"player": s.Player, "key": s.Key, "item": s.Item, "state": s.State, "from": page.From, "to": page.To, "before": page.Found.Next} {
		if value != "" {
			next.Set(name, value)
		}
	}
	page.Next = encoded(next)
	return c.show(q, "spends", "Spends", page)
}

// formTime writes a time as <input type="datetime-local"> has it, in UTC.
func formTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05")
}

// find leads from an id, of a spend or of a player, to its page.
func (c *Console) find(q *request) error {
	id := q.param("q")
	if id == "" {
		return q.back("spends", "")
	}
	if parsed, err := uuid.Parse(id); err == nil {
		spend, err := c.Books.Spend(q.Context(), parsed.String())
		if err == nil {
			return q.back("spends/"+spend.ID, "")
		}
		if !errors.Is(err, books.ErrNotFound) {
			return err
		}
	}
	http.Redirect(q.w, q.Request, Path+"players?"+url.Values{"id": {id}}.Encode(), http.StatusSeeOther)
	return nil
}
