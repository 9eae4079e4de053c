package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// bodyMax bounds the bytes of one request.
const bodyMax = 1 << 20

// transact applies one transaction, or repeats the answer to one.
func (s *Simulator) transact(r *http.Request, luck roll) reply {
	id := r.PathValue("customer")
	raw, members, stop := readObject(r, "adjustments", "reference")
	if stop != nil {
		return *stop
	}
	change := appliedEntry{Customer: id, Request: fingerprint(id, raw)}
	change.IdempotencyKey = r.Header.Get("Idempotency-Key")
	if change.Adjustments, stop = s.parseAdjustments(members["adjustments"]); stop != nil {
		return *stop
	}
	if reference, ok := members["reference"]; ok {
		if json.Unmarshal(reference, &change.Reference) != nil {
			return badParameter("reference", "The reference must be a string or null.")
		}
	}
	if luck.locked || !s.hold(id) {
		return locked()
	}
	defer s.release(id)
	pause(r.Context(), luck.delay)
	return s.settle(change, r.URL.Query().Get("include_empty_balances") == "true", luck)
}

// hold takes a customer for one write and reports whether it was free. Who
// holds it must release it, before the answer leaves.
func (s *Simulator) hold(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.busy[id]; taken {
		return false
	}
	s.busy[id] = struct{}{}
	return true
}

func (s *Simulator) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, id)
}

// settle decides on a transaction that is well formed and applies it.
func (s *Simulator) settle(change appliedEntry, empty bool, luck roll) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, used := s.books.requests[change.IdempotencyKey]; used && change.IdempotencyKey != "" {
		if known != change.Request || luck.replayConflict {
			return keyConflict()
		}
		s.stats.Replayed++
		return s.touched(change, empty)
	}
	if s.books.customer(change.Customer) == nil && !s.autoCreate {
		return missing("customer")
	}
	if !covers(s.books.balances(change.Customer), change.Adjustments) {
		return notEnough()
	}
	change.At = s.timestamp()
	if err := s.write(entry{Applied: &change}); err != nil {
		s.log.Error("transaction not applied", "error", err)
		return serverError(http.StatusInternalServerError)
	}
	s.stats.Applied++
	return s.touched(change, empty)
}

// touched lists the balances, as they are now, of the currencies of a change.
func (s *Simulator) touched(change appliedEntry, empty bool) reply {
	path := s.balancesPath(change.Customer)
	items := s.balanceItems(s.books.balances(change.Customer), change.Adjustments.Currencies(), empty)
	return reply{status: http.StatusOK, body: newList(items, path, "")}
}

func (s *Simulator) timestamp() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// parseAdjustments reads a map of whole numbers other than 0, of currencies
// that the project has.
func (s *Simulator) parseAdjustments(raw json.RawMessage) (economy.Amounts, *reply) {
	bad := func(format string, args ...any) (economy.Amounts, *reply) {
		out := badParameter("adjustments", fmt.Sprintf(format, args...))
		return nil, &out
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || len(members) == 0 {
		return bad("The adjustments must be an object with at least one currency.")
	}
	out := make(economy.Amounts, len(members))
	for _, code := range slices.Sorted(maps.Keys(members)) {
		amount, err := strconv.ParseInt(string(members[code]), 10, 64)
		switch {
		case s.currencies[economy.Currency(code)] == "":
			return bad("The project has no currency %q.", code)
		case err != nil || amount == 0:
			return bad("The adjustment of %q must be a whole number other than 0.", code)
		}
		out[economy.Currency(code)] = economy.Amount(amount)
	}
	return out, nil
}

// readObject reads the JSON object of a request, whose members must all be
// allowed ones.
func readObject(r *http.Request, allowed ...string) ([]byte, map[string]json.RawMessage, *reply) {
	stop := func(out reply) ([]byte, map[string]json.RawMessage, *reply) { return nil, nil, &out }
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return stop(invalidRequest("The content type must be application/json."))
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, bodyMax+1))
	if err != nil || len(raw) > bodyMax {
		return stop(invalidRequest("The body cannot be read, or is too long."))
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimSpace(raw), &members) != nil || members == nil {
		return stop(invalidRequest("The body must be a JSON object."))
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(allowed, name) {
			return stop(badParameter(name, "The member is not known."))
		}
	}
	return raw, members, nil
}
