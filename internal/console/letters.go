package console

import (
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-gems/sluice/internal/operations"
)

// lettersPage is what deadletters.html shows.
type lettersPage struct {
	Filter  operations.LetterFilter
	Query   template.URL // the filter as an address has it
	Reasons []operations.DeathReason
	Counts  []operations.LetterCount
	Total   int
	Letters []operations.Letter
	Next    template.URL
	Narrow  bool // something is asked for
}

// letterHref is where a dead letter is shown, below the console.
func letterHref(key operations.LetterKey) string {
	return "deadletters/show?" + url.Values{"event": {key.EventID}, "consumer": {key.Consumer}}.Encode()
}

func letterFilter(of url.Values) operations.LetterFilter {
	get := func(name string) string { return strings.TrimSpace(of.Get(name)) }
	return operations.LetterFilter{
		Consumer: get("consumer"), Type: get("type"), Reason: operations.DeathReason(get("reason-of")), Player: get("player"), Error: get("error"),
		Resolved: get("show") == "resolved",
	}
}

func filterQuery(f operations.LetterFilter) url.Values {
	values := url.Values{}
	for name, value := range map[string]string{"consumer": f.Consumer, "type": f.Type, "reason-of": string(f.Reason), "player": f.Player, "error": f.Error} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if f.Resolved {
		values.Set("show", "resolved")
	}
	return values
}

func (c *Console) letters(q *request) error {
	page := lettersPage{Filter: letterFilter(q.URL.Query()), Reasons: operations.DeathReasons}
	values := filterQuery(page.Filter)
	page.Query, page.Narrow = encoded(values), page.Filter != operations.LetterFilter{Resolved: page.Filter.Resolved}
	offset, err := strconv.Atoi("0" + q.param("after"))
	if err != nil {
		return bad("%q is not a number.", q.param("after"))
	}
	if page.Counts, err = c.Operations.CountLetters(q.Context(), page.Filter); err != nil {
		return told(err)
	}
	for _, count := range page.Counts {
		page.Total += count.Letters
	}
	list := page.Filter
	list.Limit, list.Offset = pageSize, offset
	if page.Letters, err = c.Operations.Letters(q.Context(), list); err != nil {
		return told(err)
	}
	if offset+pageSize < page.Total {
		values.Set("after", strconv.Itoa(offset+pageSize))
		page.Next = encoded(values)
	}
	return c.show(q, "deadletters", "Dead letters", page)
}

// letterPage is what deadletter.html shows.
type letterPage struct {
	operations.Letter
	SpendID string // whose event it is; empty: no spend's
	Open    bool
	Key     map[string]string // the fields that name it in a form
	Payload string
	Private bool   // the payload holds an e-mail address: no form shows it
	Trace   string // where to look at its trace; empty: nobody knows
}

func letterKey(of url.Values) operations.LetterKey {
	return operations.LetterKey{EventID: of.Get("event"), Consumer: of.Get("consumer")}
}

func (c *Console) letter(q *request) error {
	key := letterKey(q.URL.Query())
	letter, err := c.Operations.Letter(q.Context(), key)
	if err != nil {
		return told(err)
	}
	page := letterPage{Letter: letter, Open: letter.ResolvedAt.IsZero(), Payload: pretty(letter.Payload), Key: map[string]string{"event": key.EventID, "consumer": key.Consumer}}
	page.Private = mask(page.Payload) != page.Payload
	if c.TraceLink != nil {
		if link := c.TraceLink(letter.TraceID); link != letter.TraceID {
			page.Trace = link
		}
	}
	if id, _, found := strings.Cut(letter.EventID, "."); found && strings.HasPrefix(letter.Type, "spend.") {
		page.SpendID = id
	}
	return c.show(q, "deadletter", "Dead letter of "+letter.Consumer, page)
}

func (c *Console) letterRoutes(mux *http.ServeMux) {
	c.route(mux, "GET "+Path+"deadletters", c.page(c.letters))
	c.route(mux, "GET "+Path+"deadletters/show", c.page(c.letter))
	one := func(name string, do func(*request, operations.LetterKey) error, notice string) {
		c.act(mux, "deadletters/"+name, Operator, func(q *request) error {
			key := letterKey(q.PostForm)
			if err := do(q, key); err != nil {
				return told(err)
			}
			return q.back(letterHref(key), notice)
		})
	}
	one("retry", func(q *request, key operations.LetterKey) error {
		return c.Operations.RetryLetter(q.Context(), q.who(), q.reason(), key)
	}, "retried")
	one("edit", func(q *request, key operations.LetterKey) error {
		return c.Operations.EditLetter(q.Context(), q.who(), q.reason(), key, []byte(q.PostForm.Get("payload")))
	}, "retried")
	one("resolve", func(q *request, key operations.LetterKey) error {
		return c.Operations.ResolveLetter(q.Context(), q.who(), q.reason(), key)
	}, "resolved")
	c.act(mux, "deadletters/many", Operator, c.manyLetters)
}
