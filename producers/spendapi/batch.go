package spendapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// batchMax is how many spends one batch may have.
	batchMax = 1000
	// batchBodyMax is the largest body of a batch: a kilobyte for each of its spends,
	// which need some 150 bytes.
	batchBodyMax = 1 << 20
	// batchPlayersMax is how many players' spends of one batch are committed at once.
	// They fill one commit (outbox.BatchMaxDefault) and leave room in the queue, which
	// holds 32 times as many, for the players who wait.
	batchPlayersMax = 256
	// batchPatience bounds a batch. What was not begun by then is answered 503.
	batchPatience = 30 * time.Second
)

// What a refused batch, and a refused entry of one, are told to look like.
const (
	batchExample = `{"spends":[` + entryExample + `]}`
	entryExample = `{"app_user_id":"player_1","item":"extra_life","quantity":1,"idempotency_key":"a-new-key-per-purchase"}`
)

// entry is one spend of a batch, and what became of it.
type entry struct {
	player  string
	request spendRequest
	taken   taken
	problem *problem // nil: taken
}

// postBatch is POST /spends/batch, for game servers: up to 1,000 spends of any
// players in one call. Each has its own key, limits and answer, as if it had been
// sent by itself with `Prefer: respond-async`; `results` has them in order:
//
//	{"status":202,"spend":{...}}                      accepted, or with "replayed":true as it stands now
//	{"status":402,"error":{problem},"retry_after":1}  as POST /spend would have answered
//
// Spends of one player are accepted in the order of the list. If one of them
// cannot be taken now (429, 5xx), the player's later ones are not tried.
func (a *API) postBatch(x *exchange, r *http.Request) *problem {
	if p := wantJSON(r); p != nil {
		return p
	}
	if p := a.server(x, r); p != nil {
		return p
	}
	entries, p := readBatch(x.ResponseWriter, r)
	if p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), batchPatience)
	defer cancel()
	a.takeAll(ctx, x.requestID, entries)
	if gone(r.Context()) {
		return &problem{cause: errGone}
	}
	body := takeBuffer()
	defer body.give()
	body.b = append(body.b, `{"results":[`...)
	for i := range entries {
		if i > 0 {
			body.b = append(body.b, ',')
		}
		body.b = a.appendResult(x, body.b, &entries[i])
	}
	body.b = append(body.b, "]}"...)
	x.outcome = "batch"
	x.send(http.StatusOK, typeJSON, body.b)
	return nil
}

// takeAll takes every entry: those of one player one after the other, since two
// commits at once have no order, different players' at the same time, so that they
// share commits.
func (a *API) takeAll(ctx context.Context, requestID string, entries []entry) {
	var order []string
	lines := make(map[string][]*entry)
	for i := range entries {
		it := &entries[i]
		if it.problem != nil {
			continue
		}
		if lines[it.player] == nil {
			order = append(order, it.player)
		}
		lines[it.player] = append(lines[it.player], it)
	}
	var panicked sync.Map
	var group sync.WaitGroup
	slots := make(chan struct{}, batchPlayersMax)
	for _, player := range order {
		slots <- struct{}{}
		group.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					panicked.Store(player, fmt.Sprintf("%v\n%s", v, debug.Stack()))
				}
				<-slots
			}()
			a.takeLine(ctx, requestID, lines[player])
		})
	}
	group.Wait()
	panicked.Range(func(_, v any) bool { panic(v) }) // in the request's own goroutine, where it is answered
}

// takeLine takes one player's entries in their order.
func (a *API) takeLine(ctx context.Context, requestID string, line []*entry) {
	var stopped *problem
	for _, it := range line {
		switch {
		case stopped != nil:
			it.problem = &problem{
				kind: stopped.kind, retryAfter: stopped.retryAfter,
				detail: "An earlier spend of the player in this batch could not be taken, so this one was not tried: a player's spends are taken in order. Send it again.",
			}
			continue
		case ctx.Err() != nil:
			it.problem = unavailable(ctx.Err())
		default:
			request := it.request
			o := a.priced(it.player, request.item, request.quantity, request.key)
			o.request = requestID
			it.taken, it.problem = a.take(ctx, o, 0)
		}
		if p := it.problem; p != nil && p.kind != nil &&
			(p.kind.Status == http.StatusTooManyRequests || p.kind.Status >= http.StatusInternalServerError) {
			stopped = p
		}
	}
}

// appendResult appends what became of an entry.
func (a *API) appendResult(x *exchange, out []byte, it *entry) []byte {
	p := it.problem
	if p == nil {
		p = outcomeProblem(it.taken.spend)
	}
	status, outcome := http.StatusAccepted, "working"
	switch {
	case p != nil && p.kind == nil: // only the request's end has no kind, and then nobody is answered
		p = internal(p.cause)
		fallthrough
	case p != nil:
		status, outcome = p.kind.Status, p.kind.Slug
		if x.cause == nil {
			x.cause = p.cause
		}
	case it.taken.spend.State == economy.Fulfilled:
		status, outcome = http.StatusOK, "fulfilled"
	}
	a.metrics.spend(outcome)
	out = append(out, `{"status":`...)
	out = strconv.AppendInt(out, int64(status), 10)
	if it.taken.repeated {
		out = append(out, `,"replayed":true`...)
	}
	if p == nil {
		out = append(out, ',')
		out = appendMember(out, it.taken.spend)
		return append(out, '}')
	}
	if p.retryAfter > 0 {
		out = append(out, `,"retry_after":`...)
		out = append(out, seconds(p.retryAfter)...)
	}
	out = append(out, `,"error":`...)
	out = appendProblem(out, p)
	return append(out, '}')
}

// readBatch reads the body of POST /spends/batch. What is wrong with a single
// entry is that entry's problem.
func readBatch(w http.ResponseWriter, r *http.Request) ([]entry, *problem) {
	body := takeBuffer()
	defer body.give()
	var p *problem
	if body.b, p = readBody(w, r, body.b, batchBodyMax); p != nil {
		return nil, p
	}
	return parseBatch(body.b)
}

func parseBatch(raw []byte) ([]entry, *problem) {
	raw, p := object(raw, batchExample)
	if p != nil {
		return nil, p
	}
	var list []byte
	eachMember(raw, func(name string, value []byte) bool {
		switch {
		case name != "spends":
		case list != nil:
			p = problemf(MalformedRequest, "The member %q is there twice. Send it once.", name)
		case value[0] != '[':
			p = problemf(MalformedRequest, "The member %q is not a list. Send %s.", name, batchExample)
		default:
			list = value
		}
		return p == nil
	})
	if p == nil && list == nil {
		p = problemf(MalformedRequest, `The member "spends" is missing. Send %s.`, batchExample)
	}
	if p != nil {
		return nil, p
	}
	var entries []entry
	eachElement(list, func(value []byte) bool {
		if len(entries) == batchMax {
			p = problemf(MalformedRequest, "The batch has more than %d spends. Send the others in another.", batchMax)
			return false
		}
		entries = append(entries, parseEntry(value))
		return true
	})
	return entries, p
}

// parseEntry reads one spend of a batch.
func parseEntry(raw []byte) entry {
	it := entry{request: spendRequest{quantity: 1}}
	if raw[0] != '{' {
		it.problem = problemf(MalformedRequest, "The entry is not an object. Send %s.", entryExample)
		return it
	}
	var player, item, quantity, key bool
	eachMember(raw, func(name string, value []byte) bool {
		switch name {
		case "app_user_id":
			it.player, it.problem = oneString(name, value, MalformedRequest, &player)
		case "item":
			it.request.item, it.problem = oneString(name, value, MalformedRequest, &item)
		case "quantity":
			it.request.quantity, it.problem = oneQuantity(value, &quantity)
		case serverKeyMember:
			it.request.key, it.problem = oneString(name, value, BadIdempotencyKey, &key)
		}
		return it.problem == nil
	})
	switch {
	case it.problem != nil:
	case it.request.item == "":
		it.problem = problemf(MalformedRequest, `The member "item" is missing or empty. Send the id of a catalogue item, such as %s.`, entryExample)
	case named(it.player) != nil:
		it.problem = named(it.player)
	case anonymous(it.player):
		it.problem = mayNotSpend()
	case !key:
		it.problem = problemf(BadIdempotencyKey, "The member %q is missing. Make a new key per purchase and keep it over retries.", serverKeyMember)
	default:
		it.problem = checkKey(it.request.key)
	}
	return it
}
