package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillsShown is how many backfills the list has.
const backfillsShown = 50

// backfillLine is a backfill with how far it is.
type backfillLine struct {
	backfill.Run
	Percent int
	Left    time.Duration // at its pace so far; 0: not known
}

func line(run backfill.Run) backfillLine {
	l := backfillLine{Run: run}
	if run.BytesAll > 0 {
		l.Percent = int(min(100, float64(run.Counts.Bytes)*100/float64(run.BytesAll)))
	}
	if run.State == backfill.Done {
		l.Percent = 100
	}
	if spent := run.TouchedAt.Sub(run.StartedAt); run.State == backfill.Running && run.Counts.Bytes > 0 && spent > 0 {
		l.Left = time.Duration(float64(spent) * float64(run.BytesAll-run.Counts.Bytes) / float64(run.Counts.Bytes))
	}
	return l
}

func (c *Console) backfills(q *request) error {
	runs, err := c.Backfills.List(q.Context(), backfillsShown)
	if err != nil {
		return err
	}
	lines := make([]backfillLine, len(runs))
	for i, run := range runs {
		lines[i] = line(run)
	}
	return c.show(q, "backfills", "Backfills", lines)
}

func (c *Console) backfill(q *request) error {
	run, err := c.Backfills.Show(q.Context(), q.PathValue("id"))
	if errors.Is(err, backfill.ErrNotFound) {
		return missing("There is no such backfill.")
	}
	if err != nil {
		return err
	}
	return c.show(q, "backfill", "Backfill", line(run))
}

func (c *Console) backfillRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"backfills", c.page(c.backfills))
	c.route(mux, "GET "+Path+"backfills/{id}", c.page(c.backfill))
	for name, deed := range map[string]operations.Deed{"pause": operations.DeedPauseBackfill, "resume": operations.DeedResumeBackfill, "cancel": operations.DeedCancelBackfill} {
		c.act(mux, "backfills/{id}/"+name, Operator, func(q *request) error {
			if err := c.Operations.MoveBackfill(q.Context(), q.who(), q.reason(), deed, q.PathValue("id")); err != nil {
				return told(err)
			}
			return q.back("backfills/"+q.PathValue("id"), "done")
		})
	}
}
