package console

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gems/sluice/internal/operations"
)

// manyPage previews an act on several letters, or tells what it did.
type manyPage struct {
	Act     string // retry or resolve
	Fields  []formField
	Letters int
	Counts  []operations.LetterCount
	Ticked  bool // the letters were chosen one by one
	Done    *operations.Many
	Query   template.URL
}

type formField struct{ Name, Value string }

// manyLetters acts on the ticked letters, or on all that the filter chooses: first it
// shows how many those are, then, when the form says so, it acts.
func (c *Console) manyLetters(q *request) error {
	page := manyPage{Act: q.PostForm.Get("act"), Fields: []formField{{"act", q.PostForm.Get("act")}}}
	if page.Act != "retry" && page.Act != "resolve" {
		return bad("Say what to do: retry or resolve.")
	}
	var keys []operations.LetterKey
	filter := letterFilter(q.PostForm)
	if page.Ticked = q.PostForm.Get("which") == "ticked"; page.Ticked {
		for _, word := range q.PostForm["letter"] {
			at := strings.LastIndex(word, "/")
			if at < 0 {
				return bad("%q names no dead letter.", mask(word))
			}
			keys = append(keys, operations.LetterKey{EventID: word[:at], Consumer: word[at+1:]})
			page.Fields = append(page.Fields, formField{"letter", word})
		}
		if len(keys) == 0 {
			return bad("No dead letter is ticked. Nothing was done.")
		}
		page.Fields = append(page.Fields, formField{"which", "ticked"})
		page.Letters = len(keys)
	} else {
		var err error
		if page.Counts, err = c.Operations.CountLetters(q.Context(), filter); err != nil {
			return told(err)
		}
		for _, count := range page.Counts {
			page.Letters += count.Letters
		}
		for name, values := range filterQuery(filter) {
			page.Fields = append(page.Fields, formField{name, values[0]})
		}
		slices.SortFunc(page.Fields, func(a, b formField) int { return strings.Compare(a.Name, b.Name) })
	}
	page.Query = encoded(filterQuery(filter))
	if q.PostForm.Get("sure") == "yes" {
		if n, err := strconv.Atoi(q.PostForm.Get("letters")); !page.Ticked && (err != nil || n != page.Letters) {
			return c.show(q, "manyletters", "Dead letters", page) // others came or went: look again
		}
		done, err := c.doMany(q, page.Act, keys, filter)
		if err != nil {
			return told(err)
		}
		page.Done = &done
	}
	return c.show(q, "manyletters", "Dead letters", page)
}

func (c *Console) doMany(q *request, act string, keys []operations.LetterKey, filter operations.LetterFilter) (operations.Many, error) {
	if len(keys) == 0 {
		if act == "retry" {
			return c.Operations.RetryLetters(q.Context(), q.who(), q.reason(), filter)
		}
		return c.Operations.ResolveLetters(q.Context(), q.who(), q.reason(), filter)
	}
	one := c.Operations.RetryLetter
	if act == "resolve" {
		one = c.Operations.ResolveLetter
	}
	var many operations.Many
	for _, key := range keys {
		switch err := one(q.Context(), q.who(), q.reason(), key); {
		case err == nil:
			many.Done++
		case isRefused(err):
			many.Refused++
		default:
			return many, fmt.Errorf("after %d of %d: %w", many.Done, len(keys), err)
		}
	}
	return many, nil
}
