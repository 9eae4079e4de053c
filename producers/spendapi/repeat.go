package spendapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// refuse answers a request that the catalogue refuses: by the spend its key has
// made before, when there is one, because a key that was used must go on telling
// what it did; else by the refusal.
func (a *API) refuse(x *exchange, r *http.Request, player string, request spendRequest, p *problem) *problem {
	spend, err := a.byKey(r.Context(), player, request.key)
	switch {
	case errors.Is(err, books.ErrNotFound):
		return p
	case err != nil:
		return failed(r.Context(), err)
	}
	return a.replay(x, r, spend, request)
}

// repeated answers a request whose key has made a spend before.
func (a *API) repeated(x *exchange, r *http.Request, player string, request spendRequest) *problem {
	spend, err := a.byKey(r.Context(), player, request.key)
	if err != nil {
		return failed(r.Context(), err)
	}
	return a.replay(x, r, spend, request)
}

func (a *API) byKey(ctx context.Context, player, key string) (economy.Spend, error) {
	ctx, cancel := context.WithTimeout(ctx, readOnePatience)
	defer cancel()
	return a.books.SpendByKey(ctx, player, key)
}

// replay tells how the spend stands now, and first waits for its outcome if the
// client said how long.
func (a *API) replay(x *exchange, r *http.Request, spend economy.Spend, request spendRequest) *problem {
	if !spend.SameRequest(request.item, request.quantity) {
		p := problemf(IdempotencyKeyReused, "This key belongs to a spend of %d x %q. Make a new key for another purchase.", spend.Quantity, spend.Item)
		p.spend = &spend
		return p
	}
	waited := false
	if request.prefer.hasWait && !spend.State.Final() {
		var p *problem
		if spend, waited, p = a.await(r.Context(), spend, request.prefer); p != nil {
			x.spendID = spend.ID
			return p
		}
	}
	x.Header()["Idempotency-Replayed"] = replayed
	return answer(x, spend, request.prefer, waited)
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
