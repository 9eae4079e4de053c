package simulator

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is what an endpoint decided to answer. Nothing of it is sent before all
// the work of the call is done.
type reply struct {
	status     int
	body       any
	retryAfter time.Duration // 0: no Retry-After
	limit      int           // calls a minute; 0: no rate-limit headers
	used       int
}

// handler does the work of one call that was let in.
type handler func(r *http.Request, luck roll) reply

func (s *Simulator) routeProvider() {
	const project = "/v2/projects/{project}"
	s.route("POST "+project+"/customers/{customer}/virtual_currencies/transactions", "transaction", transactions, s.transact)
	s.route("GET "+project+"/customers/{customer}/virtual_currencies", "balances", customerInformation, s.listBalances)
	s.route("POST "+project+"/customers", "create_customer", customerInformation, s.createCustomer)
	s.route("GET "+project+"/customers/{customer}", "customer", customerInformation, s.showCustomer)
	s.route("GET "+project+"/virtual_currencies", "catalogue", configuration, s.listCurrencies)
	s.route("/v2/", "other", configuration, func(*http.Request, roll) reply { return missing("resource") })
}

// route serves one endpoint: what stops every call, then the work, then the
// answer, or the lack of one.
func (s *Simulator) route(pattern, operation string, d domain, work handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		luck := s.rollDice()
		if luck.Down {
			s.cut(operation)
		}
		out, stopped := s.admit(r, d, luck)
		if !stopped {
			limit, used := out.limit, out.used
			out = work(r, luck)
			out.limit, out.used = limit, used
			if luck.loseAnswer {
				s.cut(operation)
			}
		}
		s.count(operation, out.status)
		s.log.DebugContext(r.Context(), "simulated call", "operation", operation, "status", out.status)
		out.send(w)
	})
}

// admit is all that can stop a call before its endpoint sees it. When it
// returns false, the reply holds the rate-limit headers of the answer to come.
func (s *Simulator) admit(r *http.Request, d domain, luck roll) (reply, bool) {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case luck.BrownOut:
		return serverError(http.StatusServiceUnavailable), true
	case luck.Unauthorized, !bearer, key == "", s.secretKey != "" && key != s.secretKey:
		return unauthorized(), true
	}
	if project := r.PathValue("project"); project != "" && project != s.project {
		return missing("project"), true
	}
	var out reply
	var wait time.Duration
	if luck.RatePerMinute > 0 {
		s.mu.Lock()
		out.limit = d.limit(luck.RatePerMinute)
		out.used, wait = s.take(d, out.limit, s.now())
		s.mu.Unlock()
	}
	if wait == 0 && luck.tooMany {
		wait = backoffServer
	}
	if wait > 0 {
		stop := tooMany(wait)
		stop.limit, stop.used = out.limit, out.used
		return stop, true
	}
	if luck.failBefore {
		stop := serverError(http.StatusInternalServerError)
		if luck.unavailable {
			stop.status = http.StatusServiceUnavailable
		}
		stop.limit, stop.used = out.limit, out.used
		return stop, true
	}
	return out, false
}

func (s *Simulator) rollDice() roll {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.roll(s.dice)
}

// cut drops the connection without an answer. It does not return.
func (s *Simulator) cut(operation string) {
	s.count(operation, 0)
	panic(http.ErrAbortHandler)
}

// pause lets d pass, or less when the client goes away. The work of a call that
// was let in is done all the same.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (out reply) send(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if out.limit > 0 {
		header.Set("RevenueCat-Rate-Limit-Current-Usage", strconv.Itoa(out.used))
		header.Set("RevenueCat-Rate-Limit-Current-Limit", strconv.Itoa(out.limit))
	}
	if out.retryAfter > 0 {
		seconds := (out.retryAfter + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	w.WriteHeader(out.status)
	_ = json.NewEncoder(w).Encode(out.body) // the client may be gone; the work is done
}
