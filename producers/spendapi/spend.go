package spendapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// acceptPatience bounds acceptance. The committer answers within its own patience
	// of 5 s when PostgreSQL is gone; this is for one that hangs.
	acceptPatience = 10 * time.Second
	// readOnePatience bounds reading one spend or one player's rows.
	readOnePatience = 3 * time.Second
	// overloadedRetry is when to come back when new spends are refused.
	overloadedRetry = time.Second
	// detailMax keeps what a client sent from coming back to it by the kilobyte.
	detailMax = 500
)

// spendCounted is postSpend, counted by outcome.
func (a *API) spendCounted(x *exchange, r *http.Request) *problem {
	p := a.postSpend(x, r)
	if p != nil {
		x.problem(p)
	}
	a.metrics.spend(x.outcome)
	return nil
}

// postSpend is POST /spend. It accepts a spend, waits for its outcome and tells
// how it stands; answer.go says which status means what.
//
// The same idempotency key again tells how that spend stands now, at once, with
// `Idempotency-Replayed: true`, whatever has become of the item meanwhile. With
// an explicit `Prefer: wait=N` it also waits for the outcome up to N seconds.
// The key with another item or quantity is 409.
func (a *API) postSpend(x *exchange, r *http.Request) *problem {
	x.Header()["Vary"] = varyPrefer
	if !isJSON(r.Header["Content-Type"]) {
		return problemf(UnsupportedMediaType, "Send the header Content-Type: application/json.")
	}
	player, p := a.spender(x, r)
	if p != nil {
		return p
	}
	request, p := readSpendRequest(x.ResponseWriter, r)
	if p != nil {
		return p
	}
	return a.accept(x, r, player, request)
}

var varyPrefer = []string{"Prefer"}

// spender returns the player, if they may spend.
func (a *API) spender(x *exchange, r *http.Request) (string, *problem) {
	player, p := a.session(x, r)
	if p != nil {
		return "", p
	}
	if anonymous(player) {
		return "", problemf(AnonymousPlayer, "Gems of an anonymous player are lost with the app. Log the player in with an App User ID of the game's own first.")
	}
	return player, a.limit(player)
}

// accept prices the request and commits it as a spend.
func (a *API) accept(x *exchange, r *http.Request, player string, request spendRequest) *problem {
	// PostgreSQL keeps microseconds: cut now, so that every answer tells the same.
	now := a.now().UTC().Truncate(time.Microsecond)
	quote, err := a.catalog().Quote(request.item, request.quantity, now)
	if err != nil {
		return a.refuse(x, r, player, request, refusal(err))
	}
	if a.pressure.high(now) {
		return overloaded(errors.New("commits are slow"))
	}
	spend := economy.Spend{
		ID: a.newID(), AppUserID: player, IdempotencyKey: request.key,
		Item: request.item, Quantity: request.quantity, Cost: quote.Cost, CatalogVersion: quote.CatalogVersion,
		State: economy.Requested, AcceptedAt: now, Limited: quote.Item.PlayerLimit > 0,
	}
	// Before the commit: the outcome may be there before the commit's answer is.
	waiter := a.waiters.Register(spend.ID, request.prefer.patience())
	defer waiter.Release()
	result, err := a.commit(r.Context(), spend, quote.Item.PlayerLimit)
	if err != nil {
		x.spendID = spend.ID // it may be committed: the log is where to look it up
		return commitFailed(r.Context(), err)
	}
	switch result {
	case outbox.Applied:
	case outbox.Duplicate:
		waiter.Release()
		return a.repeated(x, r, player, request)
	case outbox.Stale:
		return problemf(LimitReached, "One player may have %d of %q.", quote.Item.PlayerLimit, request.item)
	}
	x.spendID = spend.ID
	if told, known := waiter.Wait(r.Context()); known {
		spend = told
	}
	if r.Context().Err() != nil {
		return &problem{cause: errGone}
	}
	return answer(x, spend, request.prefer, waiter != nil)
}

// commit makes the spend durable together with the event that has it charged.
func (a *API) commit(ctx context.Context, spend economy.Spend, limit int64) (outbox.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptPatience)
	defer cancel()
	effects := outbox.Effects{
		Guard:  books.Accept{Spend: spend, PlayerLimit: limit},
		Events: []events.Event{events.NewSpendRequested(spend.ID, spend.AppUserID, spend.AcceptedAt)},
		Owner:  spend.AppUserID,
		Intake: true,
	}
	if limit > 0 {
		if err := a.books.OpenCounter(ctx, spend.AppUserID, spend.Item); err != nil {
			return 0, err
		}
		effects.Touches = []string{books.LimitKey(spend.AppUserID, spend.Item)}
	}
	started := time.Now()
	result, err := a.committer.Commit(ctx, effects)
	if err == nil {
		a.pressure.observe(time.Since(started), a.now())
	}
	return result, err
}

// commitFailed turns an error of the commit into a problem. A DataError is a
// mistake of ours: whatever a client can send was checked before.
func commitFailed(ctx context.Context, err error) *problem {
	switch {
	case ctx.Err() != nil:
		return &problem{cause: errGone}
	case errors.Is(err, outbox.ErrOverloaded):
		return overloaded(err)
	case errors.Is(err, outbox.ErrUnavailable), errors.Is(err, outbox.ErrClosed):
		return unavailable(err)
	}
	if dataError, ok := errors.AsType[*outbox.DataError](err); ok {
		return internal(dataError)
	}
	return failed(ctx, err)
}

func overloaded(cause error) *problem {
	p := problemf(Overloaded, "Nothing was accepted. Send the same request with the same idempotency key again.")
	p.retryAfter, p.cause = overloadedRetry, cause
	return p
}

// refusal turns a refusal of the catalogue into its problem.
func refusal(err error) *problem {
	kind := Internal
	for _, known := range []struct {
		err  error
		kind *ProblemType
	}{
		{economy.ErrUnknownItem, UnknownItem}, {economy.ErrQuantity, BadQuantity}, {economy.ErrItemPaused, ItemPaused},
		{economy.ErrNotYetOnSale, NotYetOnSale}, {economy.ErrNoLongerOnSale, NoLongerOnSale},
	} {
		if errors.Is(err, known.err) {
			kind = known.kind
		}
	}
	if len(err.Error()) > detailMax { // the item's name is the client's
		return problemf(kind, "%s: %d bytes are no item's id.", kind.Title, len(err.Error()))
	}
	return problemf(kind, "%v.", err)
}
