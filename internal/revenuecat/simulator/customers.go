package simulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// customerPattern is the provider's rule for ids that may be created by a call;
// it is no rule for ids that exist.
var customerPattern = regexp.MustCompile(`^[0-9a-zA-Z_-]*$`)

// customerMax is the longest id (RevenueCat API v2, customer_id).
const customerMax = 1500

// customerBody is the provider's Customer. Times are milliseconds since 1970.
type customerBody struct {
	Object             string `json:"object"`
	ID                 string `json:"id"`
	ProjectID          string `json:"project_id"`
	FirstSeenAt        int64  `json:"first_seen_at"`
	LastSeenAt         int64  `json:"last_seen_at"`
	ActiveEntitlements list   `json:"active_entitlements"`
}

func (s *Simulator) customerBody(id string, first, last time.Time) customerBody {
	path := "/v2/projects/" + s.project + "/customers/" + url.PathEscape(id) + "/active_entitlements"
	return customerBody{
		Object: "customer", ID: id, ProjectID: s.project,
		FirstSeenAt: first.UnixMilli(), LastSeenAt: last.UnixMilli(),
		ActiveEntitlements: newList(nil, path, ""),
	}
}

// createCustomer creates a customer that holds nothing. Attributes are taken
// and forgotten.
func (s *Simulator) createCustomer(r *http.Request, luck roll) reply {
	_, members, stop := readObject(r, "id", "attributes")
	if stop != nil {
		return *stop
	}
	var id string
	if json.Unmarshal(members["id"], &id) != nil || id == "" || len(id) > customerMax || !customerPattern.MatchString(id) {
		return badParameter("id", "The id must be 1 to 1500 letters, digits, underscores or hyphens.")
	}
	if luck.locked || !s.hold(id) {
		return locked()
	}
	defer s.release(id)
	pause(r.Context(), luck.delay)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.books.customer(id) != nil {
		return refusal(http.StatusConflict, "resource_already_exists", "id", "A customer with this id exists.")
	}
	at := s.timestamp()
	if err := s.write(entry{Set: &setEntry{Customer: id, At: at}}); err != nil {
		s.log.ErrorContext(r.Context(), "customer not created", "error", err)
		return serverError(http.StatusInternalServerError)
	}
	return reply{status: http.StatusCreated, body: s.customerBody(id, at, at)}
}

func (s *Simulator) showCustomer(r *http.Request, luck roll) reply {
	pause(r.Context(), luck.delay)
	id := r.PathValue("customer")
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.books.customer(id)
	switch {
	case c != nil:
		return reply{status: http.StatusOK, body: s.customerBody(c.ids[0], c.firstSeen, c.lastSeen)}
	case s.autoCreate:
		at := s.timestamp()
		return reply{status: http.StatusOK, body: s.customerBody(id, at, at)}
	}
	return missing("customer")
}
