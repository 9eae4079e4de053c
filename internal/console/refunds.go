package console

import (
	"net/http"

	"github.com/sluice-gems/sluice/internal/operations"
)

// refundsPage is what refunds.html shows.
type refundsPage struct {
	All      bool
	Requests []operations.RefundRequest
}

func (c *Console) refunds(q *request) error {
	page := refundsPage{All: q.param("show") == "all"}
	var err error
	if page.Requests, err = c.Operations.RefundRequests(q.Context(), !page.All); err != nil {
		return err
	}
	return c.show(q, "refunds", "Refund requests", page)
}

func (c *Console) refundRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"refunds", c.page(c.refunds))
	c.act(mux, "refunds/{id}/approve", Operator, func(q *request) error {
		spend, err := c.Operations.ApproveRefund(q.Context(), q.who(), q.reason(), q.PathValue("id"))
		if err != nil {
			return told(err)
		}
		return q.back("spends/"+spend.ID, "done")
	})
	c.act(mux, "refunds/{id}/refuse", Operator, func(q *request) error {
		if err := c.Operations.RefuseRefund(q.Context(), q.who(), q.reason(), q.PathValue("id")); err != nil {
			return told(err)
		}
		return q.back("refunds", "done")
	})
}
