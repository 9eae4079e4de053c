package console

import (
	"html/template"
	"net/url"

	"github.com/sluice-gems/sluice/internal/operations"
)

// auditPage is what audit.html shows.
type auditPage struct {
	Filter operations.ActFilter
	Acts   []actLine
	Narrow bool
	Next   template.URL
}

type actLine struct {
	operations.Act
	Words string
}

func (c *Console) audit(q *request) error {
	f := operations.ActFilter{
		Deed: operations.Deed(q.param("deed")), Subject: q.param("subject"), Player: q.param("player"), Who: q.param("who"), Before: q.param("before"), Limit: pageSize + 1,
	}
	acts, err := c.Operations.Acts(q.Context(), f)
	if err != nil {
		return told(err)
	}
	page := auditPage{Filter: f, Narrow: f != operations.ActFilter{Limit: f.Limit}}
	if len(acts) > pageSize {
		acts = acts[:pageSize]
		next := url.Values{"before": {acts[pageSize-1].ID}}
		for name, value := range map[string]string{"deed": string(f.Deed), "subject": f.Subject, "player": f.Player, "who": f.Who} {
			if value != "" {
				next.Set(name, value)
			}
		}
		page.Next = encoded(next)
	}
	for _, act := range acts {
		page.Acts = append(page.Acts, actLine{act, deedWords(act.Deed)})
	}
	return c.show(q, "audit", "Audit log", page)
}
