package console

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// webhookLine is a webhook as the list shows it.
type webhookLine struct {
	ID          string     `db:"id"`
	ReceivedAt  time.Time  `db:"received_at"`
	EventAt     *time.Time `db:"event_at"`
	EventKey    string     `db:"event_key"`
	Verdict     string     `db:"verdict"`
	Type        string     `db:"type"`
	Environment string     `db:"environment"`
	Error       string     `db:"error"`
	Body        bool       `db:"body"` // it is still there
}

const webhookColumns = "id, received_at, event_at, event_key, verdict, type, environment, error, body IS NOT NULL AS body"

// webhookScan is among how many of the newest webhooks a type or verdict is looked
// for: their rows are wide.
const webhookScan = 20_000

// webhooksPage is what webhooks.html shows.
type webhooksPage struct {
	Type, Verdict, ID string
	Verdicts          []purchases.Verdict
	Found             []webhookLine
	Narrow            bool
	Next              template.URL
	Looked            time.Time
}

func (c *Console) webhooks(q *request) error {
	page := webhooksPage{
		Type: q.param("type"), Verdict: q.param("verdict"), ID: q.param("id"),
		Verdicts: []purchases.Verdict{purchases.Accepted, purchases.RefusedEnvironment, purchases.Undecodable},
	}
	page.Narrow = page.Type != "" || page.Verdict != "" || page.ID != ""
	before := q.param("before")
	if before != "" && uuid.Validate(before) != nil {
		return bad("This is not the address of a page of webhooks.")
	}
	var of, inner conditions
	var query string
	switch {
	case page.ID != "":
		of.add("event_key = $%d", page.ID)
		keyed := "id = (SELECT webhook_id FROM webhook_keys WHERE event_key = $1)"
		if uuid.Validate(page.ID) == nil {
			keyed = "id IN ($1::uuid, (SELECT webhook_id FROM webhook_keys WHERE event_key = $1))"
		}
		query = "SELECT " + webhookColumns + " FROM webhook_events WHERE " + keyed
	default:
		// Ids are in the order of arrival: see search.go.
		if before != "" {
			inner.add("id < $%d::uuid", before)
		}
		of = conditions{args: inner.args}
		if page.Type != "" {
			of.add("type = $%d", page.Type)
		}
		if page.Verdict != "" {
			of.add("verdict = $%d", page.Verdict)
		}
		query = fmt.Sprintf(`SELECT %s FROM (SELECT * FROM webhook_events WHERE %s ORDER BY id DESC LIMIT %d) AS newest WHERE %s ORDER BY id DESC LIMIT %d`,
			webhookColumns, inner.where(), webhookScan, of.where(), pageSize+1)
	}
	if err := c.db.SelectContext(q.Context(), &page.Found, query, of.args...); err != nil {
		return fmt.Errorf("search webhooks: %w", err)
	}
	if len(page.Found) > pageSize {
		page.Found = page.Found[:pageSize]
		page.Next = page.after(page.Found[pageSize-1].ID)
	} else if page.ID == "" && page.Narrow {
		if err := c.lookFurther(q, &page, inner); err != nil {
			return err
		}
	}
	return c.show(q, "webhooks", "Webhook events", page)
}

// after is the query of the page that begins below an id.
func (p webhooksPage) after(id string) template.URL {
	next := url.Values{"before": {id}}
	for name, value := range map[string]string{"type": p.Type, "verdict": p.Verdict} {
		if value != "" {
			next.Set(name, value)
		}
	}
	return encoded(next)
}

// lookFurther tells how far back webhooks were looked at, and where to go on, unless
// those were all.
func (c *Console) lookFurther(q *request, page *webhooksPage, inner conditions) error {
	var last []string
	err := c.db.SelectContext(q.Context(), &last, fmt.Sprintf("SELECT id FROM webhook_events WHERE %s ORDER BY id DESC OFFSET %d LIMIT 1", inner.where(), webhookScan-1), inner.args...)
	if err != nil {
		return fmt.Errorf("find the end of a search: %w", err)
	}
	if len(last) == 1 {
		page.Next, page.Looked = page.after(last[0]), timeOf(last[0])
	}
	return nil
}

// webhookPage is what webhook.html shows.
type webhookPage struct {
	webhookLine
	Headers map[string]string
	Shown   bool   // the body was asked for
	Text    string // the body, with what is a person's own hidden
}

func (c *Console) webhook(q *request) error {
	id := q.PathValue("id")
	if uuid.Validate(id) != nil {
		return missing("No webhook has the id %s.", mask(id))
	}
	page := webhookPage{Shown: q.param("body") == "shown"}
	var raw struct {
		webhookLine
		Headers []byte `db:"headers"`
	}
	switch err := c.db.GetContext(q.Context(), &raw, "SELECT "+webhookColumns+", headers FROM webhook_events WHERE id = $1", id); {
	case errors.Is(err, sql.ErrNoRows):
		return missing("No webhook has the id %s.", id)
	case err != nil:
		return fmt.Errorf("read webhook %s: %w", id, err)
	}
	page.webhookLine = raw.webhookLine
	if err := json.Unmarshal(raw.Headers, &page.Headers); err != nil {
		return fmt.Errorf("read webhook %s: headers: %w", id, err)
	}
	if page.Shown {
		if !q.session.CanAct() {
			return problem{http.StatusForbidden, "Not allowed", "Raw bodies are shown to support and operators."}
		}
		body, err := c.Purchases.Webhook(q.Context(), id)
		if err != nil && !errors.Is(err, purchases.ErrNotFound) {
			return err
		}
		page.Text = pretty(withoutAttributes(body))
	}
	return c.show(q, "webhook", "Webhook "+page.Type, page)
}

// hidden stands for the value of an attribute, which may be a name or a number.
const hidden = `"(hidden)"`

// withoutAttributes hides the values of a subscriber's attributes. Everything else
// stays byte for byte; what is no JSON is left to mask.
func withoutAttributes(body []byte) []byte {
	var event map[string]json.RawMessage
	if json.Unmarshal(body, &event) != nil {
		return body
	}
	hide := func(of map[string]json.RawMessage) {
		var attributes map[string]json.RawMessage
		if json.Unmarshal(of["subscriber_attributes"], &attributes) != nil {
			return
		}
		for name := range attributes {
			attributes[name] = json.RawMessage(hidden)
		}
		of["subscriber_attributes"], _ = json.Marshal(attributes) // it was JSON before
	}
	hide(event)
	var inner map[string]json.RawMessage
	if json.Unmarshal(event["event"], &inner) == nil && inner != nil {
		hide(inner)
		event["event"], _ = json.Marshal(inner) // the same
	}
	out, err := json.Marshal(event)
	if err != nil {
		return nil
	}
	return out
}

func (c *Console) webhookRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"webhooks", c.page(c.webhooks))
	c.route(mux, "GET "+Path+"webhooks/{id}", c.page(c.webhook))
	c.act(mux, "webhooks/{id}/replay", Operator, func(q *request) error {
		many, err := c.Operations.ReplayWebhooks(q.Context(), q.who(), q.reason(), operations.WebhookFilter{ID: q.PathValue("id")})
		if err != nil {
			return told(err)
		}
		notice := "replayed"
		if many.Done == 0 {
			notice = "nothing"
		}
		return q.back("webhooks/"+strings.TrimSpace(q.PathValue("id")), notice)
	})
	c.act(mux, "webhooks/replay", Operator, c.replayMany)
}
