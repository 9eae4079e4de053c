package spendapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// bodyMax is the largest body of a request. A spend needs less than 2 KB.
const bodyMax = 16 << 10

// spendRequest is what the client asks for, as it was sent.
type spendRequest struct {
	item     string
	quantity int64  // 1 when it was left out
	key      string // the idempotency key
}

// example is what a refused body is told to look like.
const example = `{"item":"extra_life","quantity":1,"idempotencyKey":"a-new-key-per-purchase"}`

// readSpendRequest reads the body and the headers of POST /spend.
func readSpendRequest(w http.ResponseWriter, r *http.Request) (spendRequest, *problem) {
	body := takeBuffer()
	defer body.give()
	var p *problem
	if body.b, p = readBody(w, r, body.b, bodyMax); p != nil {
		return spendRequest{}, p
	}
	parsed, p := parseSpendBody(body.b)
	if p != nil {
		return spendRequest{}, p
	}
	request := spendRequest{item: parsed.item, quantity: parsed.quantity}
	request.key, p = chooseKey(r.Header["Idempotency-Key"], keyMember, parsed.key, parsed.hasKey)
	return request, p
}

// isJSON reports whether a content type says JSON: application/json, with
// parameters or without.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	if contentType[0] == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType[0])
	return err == nil && media == "application/json"
}

// readBody appends the whole body to into, to its end, so that the server notices
// a client that hangs up while it waits.
func readBody(w http.ResponseWriter, r *http.Request, into []byte, limit int64) ([]byte, *problem) {
	tooLarge := func() *problem { return problemf(BodyTooLarge, "The body may have %d bytes at most.", limit) }
	if r.ContentLength > limit {
		return into, tooLarge()
	}
	out := bytes.NewBuffer(into)
	_, err := out.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return out.Bytes(), tooLarge()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if r.Context().Err() != nil {
			return out.Bytes(), &problem{cause: errGone}
		}
		return out.Bytes(), problemf(MalformedRequest, "The body broke off before its end. Send it again.")
	}
	return out.Bytes(), nil
}

// spendBody is the body of POST /spend.
type spendBody struct {
	item     string
	quantity int64
	key      string
	hasKey   bool
}

// object returns a body without the space around it, once it is sure that it is
// one JSON object. example is what it is told to look like.
func object(raw []byte, example string) ([]byte, *problem) {
	raw = bytes.Trim(raw, " \t\r\n")
	switch {
	case len(raw) == 0:
		return nil, problemf(MalformedRequest, "The body is empty. Send %s.", example)
	case !utf8.Valid(raw):
		return nil, problemf(MalformedRequest, "The body is not UTF-8. Send JSON such as %s.", example)
	case !json.Valid(raw):
		return nil, problemf(MalformedRequest, "The body is not JSON (%v). Send one object such as %s.", whySyntax(raw), example)
	case raw[0] != '{':
		return nil, problemf(MalformedRequest, "The body is JSON, but not an object. Send %s.", example)
	}
	return raw, nil
}

// parseSpendBody reads a body. Members it does not know are ignored; one it knows
// may be there only once.
func parseSpendBody(raw []byte) (spendBody, *problem) {
	raw, malformed := object(raw, example)
	if malformed != nil {
		return spendBody{}, malformed
	}
	body := spendBody{quantity: 1}
	var item, quantity, key bool
	var p *problem
	eachMember(raw, func(name string, value []byte) bool {
		switch name {
		case "item":
			body.item, p = oneString(name, value, MalformedRequest, &item)
		case "quantity":
			body.quantity, p = oneQuantity(value, &quantity)
		case keyMember:
			body.key, p = oneString(name, value, BadIdempotencyKey, &key)
		}
		return p == nil
	})
	if p == nil && (!item || body.item == "") {
		p = problemf(MalformedRequest, `The member "item" is missing or empty. Send the id of a catalogue item, such as %s.`, example)
	}
	body.hasKey = key
	return body, p
}

// oneString reads a member that must be a string and be there once.
func oneString(name string, value []byte, kind *ProblemType, seen *bool) (string, *problem) {
	if *seen {
		return "", problemf(kind, "The member %q is there twice. Send it once.", name)
	}
	*seen = true
	if value[0] != '"' {
		return "", problemf(kind, "The member %q is not a string. Send it in quotes.", name)
	}
	text, ok := unquote(value)
	if !ok {
		return "", problemf(kind, "The member %q holds half a surrogate pair. Send valid Unicode.", name)
	}
	return text, nil
}

// oneQuantity reads the member quantity: digits only, so that 1.0, 1e3 and "1"
// never depend on somebody's way of reading numbers.
func oneQuantity(value []byte, seen *bool) (int64, *problem) {
	if *seen {
		return 0, problemf(BadQuantity, `The member "quantity" is there twice. Send it once.`)
	}
	*seen = true
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, problemf(BadQuantity, "The quantity is far too large. Send a smaller whole number.")
	case err != nil:
		return 0, problemf(BadQuantity, "The quantity is not a whole number. Send one without quotes, point or exponent, such as 1, or leave it out for 1.")
	case n < 1:
		return 0, problemf(BadQuantity, "The quantity is %d. Send 1 or more.", n)
	}
	return n, nil
}
