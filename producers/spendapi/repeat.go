package spendapi

import (
	"context"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

// tell answers with how an order that was taken stands. A new one is waited for as
// long as the client prefers; one that its key made before only if the client
// says how long.
func (a *API) tell(x *exchange, r *http.Request, t taken, prefer preference) *problem {
	defer t.waiter.Release()
	x.spendID = t.spend.ID
	if t.repeated {
		return a.replay(x, r, t.spend, prefer)
	}
	spend := t.spend
	if told, known := t.waiter.Wait(r.Context()); known {
		spend = told
	}
	if r.Context().Err() != nil {
		return &problem{cause: errGone}
	}
	return answer(x, spend, prefer, t.waiter != nil)
}

// replay tells how the spend stands now, and first waits for its outcome if the
// client said how long.
func (a *API) replay(x *exchange, r *http.Request, spend economy.Spend, prefer preference) *problem {
	waited := false
	if prefer.hasWait && !spend.State.Final() {
		var p *problem
		if spend, waited, p = a.await(r.Context(), spend, prefer); p != nil {
			return p
		}
	}
	x.Header()["Idempotency-Replayed"] = replayed
	return answer(x, spend, prefer, waited)
}

var replayed = []string{"true"}

// await waits for the outcome of a spend that was accepted earlier. It reads the
// spend again after registering: the notice may have come in between.
func (a *API) await(ctx context.Context, spend economy.Spend, prefer preference) (_ economy.Spend, waited bool, _ *problem) {
	waiter := a.waiters.Register(spend.ID, prefer.patience())
	defer waiter.Release()
	if waiter == nil {
		return spend, false, nil
	}
	reading, cancel := context.WithTimeout(ctx, readOnePatience)
	again, err := a.books.Spend(reading, spend.ID)
	cancel()
	if err != nil {
		return spend, false, failed(ctx, err)
	}
	if spend = again; !spend.State.Final() {
		if told, known := waiter.Wait(ctx); known {
			spend = told
		}
	}
	if ctx.Err() != nil {
		return spend, true, &problem{cause: errGone}
	}
	return spend, true, nil
}
