package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/producers"
)

const (
	// pagePatience bounds what one page waits for PostgreSQL.
	pagePatience = 10 * time.Second
	// actPatience bounds an act, which may be on many; the server cuts an answer at 75 s.
	actPatience = 60 * time.Second
	// formMax is the largest form: an event of ours that is edited, and some fields.
	formMax = 1 << 20
)

// request is one that somebody who is logged in sent.
type request struct {
	*http.Request
	w       http.ResponseWriter
	session session
}

// handler answers a request, or returns why not.
type handler func(*request) error

// problem is an answer that is no page: its status and what to tell.
type problem struct {
	status int
	title  string
	text   string
}

func (p problem) Error() string { return p.title + ": " + p.text }

var errNotFound = problem{http.StatusNotFound, "Not found", "There is nothing at this address."}

// missing is errNotFound for a thing that is named.
func missing(format string, args ...any) error {
	return problem{http.StatusNotFound, "Not found", fmt.Sprintf(format, args...)}
}

// bad says what is wrong with what was asked for.
func bad(format string, args ...any) error {
	return problem{http.StatusBadRequest, "That cannot be done", fmt.Sprintf(format, args...)}
}

// headers adds what every answer has: nothing is loaded from elsewhere, nothing runs
// that is not a file of ours, nobody puts a page into a frame.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // addresses hold players' ids
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (c *Console) route(mux *http.ServeMux, pattern string, handle http.HandlerFunc) {
	c.patterns = append(c.patterns, pattern)
	mux.Handle(pattern, headers(handle))
}

// page is a handler for whoever is logged in; others are sent to the login and come back.
func (c *Console) page(handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := c.sessionOf(r)
		if errors.Is(err, errNoSession) {
			http.Redirect(w, r, Path+"login?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		c.answer(w, r, s, err, handle)
	}
}

// stream is a page that has no end of its own. A browser that may not look is told
// not to ask again.
func (c *Console) stream(handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := c.sessionOf(r)
		switch {
		case errors.Is(err, errNoSession):
			w.WriteHeader(http.StatusNoContent)
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_ = handle(&request{Request: r, w: w, session: s}) // it tells what there is to tell
		}
	}
}

// act adds POST /console/<name>: for those who may, with a form of ours.
func (c *Console) act(mux *http.ServeMux, name string, role Role, handle handler) {
	c.route(mux, "POST "+Path+name, func(w http.ResponseWriter, r *http.Request) {
		s, err := c.sessionOf(r)
		switch {
		case errors.Is(err, errNoSession):
			err = problem{http.StatusUnauthorized, "You are not logged in any more", "Nothing was done. Log in, go back and send the form again."}
		case err == nil:
			err = c.checkForm(w, r, s.token)
		}
		if err == nil && !s.May(role) {
			err = problem{http.StatusForbidden, "Not allowed", fmt.Sprintf("This needs a key of the role %s; yours is %s. Nothing was done.", role, s.Role)}
		}
		c.answer(w, r, s, err, handle)
	})
}

// checkForm makes sure that a form is ours and was sent from a page of ours.
func (c *Console) checkForm(w http.ResponseWriter, r *http.Request, cookie string) error {
	r.Body = http.MaxBytesReader(w, r.Body, formMax)
	if err := r.ParseForm(); err != nil {
		return problem{http.StatusBadRequest, "The form could not be read", "It is incomplete, or larger than 1 MiB. Nothing was done."}
	}
	if c.cross.Check(r) != nil || !sameToken(r.PostForm.Get("form"), formToken(cookie)) {
		return problem{http.StatusForbidden, "This form is not of your session", "Nothing was done. Load the page again and send it from there."}
	}
	return nil
}

// answer runs a handler and tells what went wrong.
func (c *Console) answer(w http.ResponseWriter, r *http.Request, s session, err error, handle handler) {
	patience := pagePatience
	if r.Method == http.MethodPost {
		patience = actPatience
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	q := &request{Request: r.WithContext(ctx), w: w, session: s}
	if err == nil {
		err = handle(q)
	}
	if err == nil {
		return
	}
	var told problem
	if !errors.As(err, &told) {
		told = problem{http.StatusServiceUnavailable, "This page cannot be shown now",
			"PostgreSQL or NATS does not answer as it should. The log of sluice serve has the reason under request " + w.Header().Get("X-Request-Id") + "."}
		producers.LineOf(w).Tell("console_failed", err)
	}
	c.render(q, told.status, "problem", told.title, struct{ Text string }{told.text})
}

// back sends the browser to a page of ours after an act, so that loading it again
// does not repeat the act. notice is shown there.
func (q *request) back(path, notice string) error {
	address := Path + strings.TrimPrefix(path, Path)
	if notice != "" {
		joint := "?"
		if strings.Contains(address, "?") {
			joint = "&"
		}
		address += joint + "notice=" + url.QueryEscape(notice)
	}
	http.Redirect(q.w, q.Request, address, http.StatusSeeOther)
	return nil
}

// param returns a value of the address, without the spaces around it that pasting brings.
func (q *request) param(name string) string { return strings.TrimSpace(q.URL.Query().Get(name)) }
