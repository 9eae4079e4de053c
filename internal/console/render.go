package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
)

//go:embed templates
var templateFiles embed.FS

// pages are the templates by name: each is layout.html around one content.
var pages = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // they are embedded
	}
	all := map[string]*template.Template{}
	for _, entry := range entries {
		name, _ := strings.CutSuffix(entry.Name(), ".html")
		if name != "layout" && name != "parts" {
			all[name] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, "templates/"+entry.Name()))
		}
	}
	return all
}()

// view is what a template gets.
type view struct {
	Title   string
	Place   string // the link of the menu that is here
	Menu    []menuLink
	Session session
	Form    string // the token of every form
	Notice  string // what an act did
	Now     time.Time
	Page    any
}

type menuLink struct{ Name, Href string }

var menu = []menuLink{
	{"Overview", Path},
	{"Spends", Path + "spends"},
	{"Players", Path + "players"},
	{"Purchases", Path + "purchases"},
	{"Webhook events", Path + "webhooks"},
	{"Dead letters", Path + "deadletters"},
	{"Refund requests", Path + "refunds"},
	{"Backfills", Path + "backfills"},
	{"Reconciliation", Path + "reconciliation"},
	{"Hand-over", Path + "handover"},
	{"Pauses", Path + "pauses"},
	{"Audit log", Path + "audit"},
	{"Configuration", Path + "configuration"},
}

// render answers with a page. It is complete before its first byte is sent.
func (c *Console) render(q *request, status int, name, title string, page any) {
	v := view{
		Title: title, Session: q.session, Form: formToken(q.session.token), Notice: notices[q.URL.Query().Get("notice")], Now: c.now(), Page: page,
	}
	if q.session.Role != Nobody {
		v.Menu = menu
		for _, link := range menu {
			if q.URL.Path == link.Href || link.Href != Path && strings.HasPrefix(q.URL.Path, link.Href) {
				v.Place = link.Href
			}
		}
	}
	var body bytes.Buffer
	if err := pages[name].Execute(&body, v); err != nil {
		c.log.ErrorContext(q.Context(), "render console page", "page", name, "error", err)
		http.Error(q.w, "This page cannot be shown: the log of sluice serve says why.", http.StatusInternalServerError)
		return
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.WriteHeader(status)
	_, _ = q.w.Write(body.Bytes()) // fails only when the client is gone
}

// show is render of a page that was found.
func (c *Console) show(q *request, name, title string, page any) error {
	c.render(q, http.StatusOK, name, title, page)
	return nil
}

// notices are what an act tells on the page it leads to. An address names one of
// them, so that a link cannot put words into our mouth.
var notices = map[string]string{
	"done":     "Done. It is in the audit log.",
	"second":   "Asked for. A second person, with another key, has to approve it.",
	"retried":  "Owed again: its consumer gets it within about two seconds.",
	"resolved": "Resolved. Nobody gets this event any more.",
	"paused":   "Paused. All processes follow within a second.",
	"resumed":  "Resumed. What waited goes on.",
	"noted":    "Written down.",
	"resync":   "Asked for. RevenueCat is read within some seconds: load this page again.",
	"replayed": "Replayed: its event is owed again.",
	"nothing":  "Nothing was replayed: its event tells nobody anything.",
}

var functions = template.FuncMap{
	"asset":   asset,
	"path":    func(parts ...string) string { return Path + strings.Join(parts, "") },
	"query":   query,
	"number":  number,
	"amounts": amountsOf,
	"tone":    tone,
	"words":   func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
	"mask":    mask,
	"pretty":  pretty,
	"took":    took,
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"ms":      func(t time.Time) string { return t.UTC().Format(".000") },
	"age":     func(s monitor.Seconds) string { return took(time.Duration(s)) },
	"ago":     func(now, t time.Time) string { return took(now.Sub(t)) },
	"dict":    dict,
	"plural":  plural,
	"money":   money,
	"stalled": monitor.Lag.StandsStill,
	"deref":   func(n *int64) int64 { return *n },
}

// query writes names and values as the part of an address after the question mark.
func query(pairs ...string) (template.URL, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("query: %d words are no pairs", len(pairs))
	}
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return encoded(values), nil
}

// encoded is what a template may put behind a question mark as it is.
func encoded(values url.Values) template.URL { return template.URL(values.Encode()) }

// dict makes a map of names and values, for templates that take several.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d values are no pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// sortedStates are the states a search may name.
func sortedStates() []string {
	list := make([]string, 0, len(economy.States))
	for _, state := range economy.States {
		list = append(list, string(state))
	}
	return slices.Clip(list)
}
