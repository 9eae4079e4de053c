package revenuecat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Admit decides when a call of a domain may start, on behalf of a player ("": of
// nobody). The call is made under the context it returns, and end is called once
// with the call's HTTP status; 0: there was no answer. An error keeps the call from
// being made.
type Admit func(ctx context.Context, domain Domain, player string) (calling context.Context, end func(status int), err error)

// Reader reads what the provider knows of customers and products, each call when
// its Admit lets it. Every error is an *Error. It is safe for use by many
// goroutines.
//
// Lists are read page after page, to their end. Only the cursor is taken from
// next_page; the address stays ours, whatever host the answer names.
type Reader struct {
	client *Client
	admit  Admit
}

// Reader returns a reader that asks admit before every call; nil: no call waits.
func (c *Client) Reader(admit Admit) *Reader {
	if admit == nil {
		admit = func(ctx context.Context, _ Domain, _ string) (context.Context, func(int), error) {
			return ctx, func(int) {}, nil
		}
	}
	return &Reader{c, admit}
}

// IsMissing reports whether err says that the provider does not know what was asked
// for (404).
func IsMissing(err error) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && failure.Status == http.StatusNotFound
}

// get makes one call. A status other than 200 is an error.
func (r *Reader) get(ctx context.Context, op Op, player, path string) (answer, error) {
	calling, end, err := r.admit(ctx, op.domain(), player)
	if err != nil {
		failure := &Error{Op: op, Detail: err.Error(), Err: err}
		if told, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err); ok {
			failure.RetryAfter = told.RetryAfter()
		}
		return answer{}, failure
	}
	status := 0
	defer func() { end(status) }() // also when the call panics
	a := r.client.call(calling, outgoing{op: op, method: http.MethodGet, path: path, customer: player})
	r.client.report(ctx, op, a, "")
	status = a.status
	if a.status != http.StatusOK {
		return answer{}, a.failure(op, a.detail)
	}
	return a, nil
}

// listPagesMax bounds a list: 10,000 items at the provider's 20 a page (RevenueCat
// API v2, pagination; a larger page is allowed, how large is not documented).
const listPagesMax = 500

// readList reads a list to its end. id tells an item's id, which is the cursor
// where next_page has none.
func readList[T any](ctx context.Context, r *Reader, op Op, player, path string, query url.Values, id func(T) string) ([]T, error) {
	var list []T
	if query == nil {
		query = url.Values{}
	}
	for range listPagesMax {
		address := path
		if len(query) > 0 {
			address += "?" + query.Encode()
		}
		a, err := r.get(ctx, op, player, address)
		if err != nil {
			return nil, err
		}
		items, next, err := parsePage(a.body, id)
		if err != nil {
			return nil, a.failure(op, err.Error())
		}
		list = append(list, items...)
		switch next {
		case "":
			return list, nil
		case query.Get("starting_after"):
			return nil, a.failure(op, "the next page is the page before")
		}
		query.Set("starting_after", next)
	}
	return nil, &Error{Op: op, Status: http.StatusOK, Detail: "the list does not end"}
}

// parsePage decodes a list envelope, and where the list goes on; "": nowhere. One
// item that cannot be decoded makes the page unreadable: half a list would read as
// if the rest did not exist.
func parsePage[T any](body []byte, id func(T) string) (items []T, next string, err error) {
	var page struct {
		Items *[]T   `json:"items"`
		Next  string `json:"next_page"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, "", fmt.Errorf("the list cannot be read: %s", shape(err))
	}
	if page.Items == nil {
		return nil, "", errors.New("the list cannot be read: it has no items")
	}
	items = *page.Items
	if page.Next == "" {
		return items, "", nil
	}
	last := ""
	if len(items) > 0 {
		last = id(items[len(items)-1])
	}
	if next = startingAfter(page.Next, last); next == "" {
		return nil, "", errors.New("the list cannot be read: it goes on, and does not say where")
	}
	return items, next, nil
}

// shape says what is wrong with JSON without quoting it: it may name a player.
func shape(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s is of another type", wrong.Field)
	}
	return "it is not what the documentation says"
}
