package console

import (
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// handoverPage is what handover.html shows.
type handoverPage struct {
	Endpoints []monitor.Endpoint
	Known     bool   // they could be read
	Endpoint  string // whose spends are shown; empty: nobody's
	Spends    []books.UndeliveredSpend
	More      bool // spends than are shown
}

// undeliveredShown bounds the spends on the page.
const undeliveredShown = 100

func (c *Console) handover(q *request) error {
	shot, err := c.Monitor.Snapshot(q.Context())
	if err != nil && shot.At.IsZero() {
		return err
	}
	page := handoverPage{Endpoints: shot.Endpoints, Known: shot.Endpoints != nil, Endpoint: q.param("endpoint")}
	if page.Endpoint == "" && len(shot.Endpoints) == 1 {
		page.Endpoint = shot.Endpoints[0].Name
	}
	if page.Endpoint != "" {
		page.Spends, err = c.Books.UndeliveredAt(q.Context(), c.versions, page.Endpoint, undeliveredShown+1)
		if err != nil {
			return err
		}
	}
	if page.More = len(page.Spends) > undeliveredShown; page.More {
		page.Spends = page.Spends[:undeliveredShown]
	}
	return c.show(q, "handover", "Hand-over", page)
}
