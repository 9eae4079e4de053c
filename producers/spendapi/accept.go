package spendapi

import "net/http"

// ask reads a request that wants something accepted: who asks, and for what.
type ask func(x *exchange, r *http.Request) (order, *problem)

// accepting is POST /spend and POST /grants, which differ in what is asked. It
// accepts the order, waits for its outcome and tells how it stands; answer.go says
// which status means what. count hears the outcome of every request.
//
// The same idempotency key again tells how what it made stands now, at once, with
// `Idempotency-Replayed: true`, whatever has become of the item meanwhile. With
// an explicit `Prefer: wait=N` it also waits for the outcome up to N seconds.
// The key with another request is 409.
func (a *API) accepting(read ask, count func(outcome string)) handler {
	return func(x *exchange, r *http.Request) *problem {
		if p := a.acceptAsked(x, r, read); p != nil {
			x.problem(p)
		}
		count(x.outcome)
		return nil
	}
}

func (a *API) acceptAsked(x *exchange, r *http.Request, read ask) *problem {
	x.Header()["Vary"] = varyPrefer
	if p := wantJSON(r); p != nil {
		return p
	}
	o, p := read(x, r)
	if p != nil {
		return p
	}
	o.request = x.requestID
	prefer := parsePrefer(r.Header["Prefer"])
	t, p := a.take(r.Context(), o, prefer.patience())
	if p != nil {
		return p
	}
	return a.tell(x, r, t, prefer)
}

var varyPrefer = []string{"Prefer"}

// wantJSON refuses a body that is not declared as JSON.
func wantJSON(r *http.Request) *problem {
	if isJSON(r.Header["Content-Type"]) {
		return nil
	}
	return problemf(UnsupportedMediaType, "Send the header Content-Type: application/json.")
}
