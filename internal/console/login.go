package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nameMax bounds what a person writes as the own name.
const nameMax = 60

// loginForm is what login.html shows.
type loginForm struct {
	To, Name, Problem string
	Closed            bool // no key is in the settings
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if _, err := c.sessionOf(r); err == nil {
		http.Redirect(w, r, destination(r.URL.Query().Get("to")), http.StatusSeeOther)
		return
	}
	c.showLogin(w, r, http.StatusOK, loginForm{To: r.URL.Query().Get("to")})
}

// showLogin shows the form. Its token follows from a cookie of its own, since there
// is no session yet.
func (c *Console) showLogin(w http.ResponseWriter, r *http.Request, status int, form loginForm) {
	token := ""
	if cookie, err := r.Cookie(loginCookie); err == nil {
		token = cookie.Value
	}
	if token == "" {
		token = rand.Text()
		setCookie(w, r, loginCookie, token)
	}
	form.Closed = len(c.keys) == 0
	c.render(&request{Request: r, w: w, session: session{token: token}}, status, "login", "Log in", form)
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, problem string) {
		c.showLogin(w, r, status, loginForm{To: r.PostForm.Get("to"), Name: r.PostForm.Get("name"), Problem: problem})
	}
	if wait := c.logins.take(r.RemoteAddr, c.now()); wait > 0 {
		seconds := int(wait.Seconds()) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		refuse(http.StatusTooManyRequests, "Too many attempts. Try again in "+strconv.Itoa(seconds)+" seconds.")
		return
	}
	cookie, err := r.Cookie(loginCookie)
	if err == nil {
		err = c.checkForm(w, r, cookie.Value)
	}
	if err != nil {
		refuse(http.StatusForbidden, "The form had expired. Please try again.")
		return
	}
	name, err := personName(r.PostForm.Get("name"))
	if err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	id, role := c.keys.open(strings.TrimSpace(r.PostForm.Get("key")))
	if role == Nobody {
		c.log.WarnContext(r.Context(), "console login refused", "address", networkOf(r.RemoteAddr).String())
		refuse(http.StatusUnauthorized, "This key is not one of SLUICE_ADMIN_KEYS.")
		return
	}
	token, err := c.beginSession(r.Context(), name, id)
	if err != nil {
		c.log.ErrorContext(r.Context(), "console login", "error", err)
		refuse(http.StatusServiceUnavailable, "PostgreSQL does not answer. Try again in a moment.")
		return
	}
	c.log.InfoContext(r.Context(), "console login", "key_id", id, "role", role.String())
	setCookie(w, r, sessionCookie, token)
	setCookie(w, r, loginCookie, "")
	http.Redirect(w, r, destination(r.PostForm.Get("to")), http.StatusSeeOther)
}

func (c *Console) logout(q *request) error {
	if err := c.endSession(q.Context(), q.session.token); err != nil {
		return err
	}
	setCookie(q.w, q.Request, sessionCookie, "")
	return q.back("login", "")
}

// personName checks what a person wrote as the own name.
func personName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "":
		return "", errors.New("Write your name: the audit log keeps it with what you do.") //nolint:revive,staticcheck // a sentence for people
	case utf8.RuneCountInString(name) > nameMax || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", errors.New("Write a name of at most 60 characters.") //nolint:revive,staticcheck // the same
	}
	return name, nil
}

// destination returns where to go after the login: a page of ours and nothing else.
func destination(to string) string {
	place, _, _ := strings.Cut(to, "?")
	// A browser takes what begins with two slashes for another host, wherever it leads from there.
	if strings.HasPrefix(to, Path) && strings.HasPrefix(path.Clean(place)+"/", Path) && !strings.HasPrefix(to, Path+"login") && !strings.ContainsAny(to, "\\\r\n") {
		return to
	}
	return Path
}
