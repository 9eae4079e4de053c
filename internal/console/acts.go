package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sluice-gems/sluice/internal/operations"
)

// who is the person of a session for the audit. The name is only said; the key is
// certain, so that one person with one key is never two.
func (q *request) who() operations.Who {
	return operations.Who{Name: q.session.Name, Login: q.session.Role.String() + " key " + q.session.KeyID, Via: operations.Console}
}

// reason is why, as every act must say.
func (q *request) reason() string { return strings.TrimSpace(q.PostForm.Get("reason")) }

// told turns what operations say into what the page says.
func told(err error) error {
	var refused *operations.RefusedError
	var input *operations.InputError
	switch {
	case errors.Is(err, operations.ErrNotFound):
		return errNotFound
	case errors.As(err, &refused):
		return problem{http.StatusConflict, "That was not done", sentence(mask(refused.Why)) + " Nothing changed."}
	case errors.As(err, &input):
		return problem{http.StatusBadRequest, "That was not done", sentence(mask(input.Why)) + " Nothing changed."}
	}
	return err
}

func isRefused(err error) bool {
	var refused *operations.RefusedError
	return errors.As(err, &refused) || errors.Is(err, operations.ErrNotFound)
}

// sentence writes an error's text as one.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// onSpend adds an act on the spend that the address names.
func (c *Console) onSpend(mux *http.ServeMux, name string, do func(*request, string) (notice string, err error)) {
	c.act(mux, "spends/{id}/"+name, Operator, func(q *request) error {
		notice, err := do(q, q.PathValue("id"))
		if err != nil {
			return told(err)
		}
		return q.back("spends/"+q.PathValue("id"), notice)
	})
}

func (c *Console) spendRoutes(mux *http.ServeMux) {
	c.onSpend(mux, "cancel", func(q *request, id string) (string, error) {
		_, err := c.Operations.Cancel(q.Context(), q.who(), q.reason(), id)
		return "done", err
	})
	c.onSpend(mux, "hold", func(q *request, id string) (string, error) {
		_, err := c.Operations.Hold(q.Context(), q.who(), q.reason(), id)
		return "done", err
	})
	c.onSpend(mux, "release", func(q *request, id string) (string, error) {
		_, err := c.Operations.Release(q.Context(), q.who(), q.reason(), id)
		return "done", err
	})
	c.onSpend(mux, "refund", func(q *request, id string) (string, error) {
		refunding, err := c.Operations.Refund(q.Context(), q.who(), q.reason(), id)
		if err == nil && refunding.Request != nil {
			return "second", nil
		}
		return "done", err
	})
	c.onSpend(mux, "refund-again", func(q *request, id string) (string, error) {
		_, err := c.Operations.RefundAgain(q.Context(), q.who(), q.reason(), id)
		return "done", err
	})
	c.onSpend(mux, "refund-give-up", func(q *request, id string) (string, error) {
		_, err := c.Operations.GiveUpRefund(q.Context(), q.who(), q.reason(), id)
		return "done", err
	})
}
