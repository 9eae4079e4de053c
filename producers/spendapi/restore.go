package spendapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// restoreEvery is how often one player's purchases are read from the provider at
	// most because the player asks: a reading takes several calls of a budget that all
	// players share.
	restoreEvery = time.Minute
	// restoreRetry is when to look again at a restore under way.
	restoreRetry = 2 * time.Second
)

// restoreTold is a restore as the app sees it.
type restoreTold struct {
	State       purchases.ResyncState `json:"state"` // running or finished
	RequestedAt time.Time             `json:"requested_at"`
	NextAt      time.Time             `json:"next_at"` // a restore asked for from then on reads again
}

// postRestore is POST /purchases/restore: have the player's purchases read from the
// provider again, at most once a minute. A tap within the minute, or while a reading
// is under way, is the same restore: the app sends the same request until it is told
// 200, and then reads wallet and inventory. It takes no body.
//
//	under way                 202 {"restore":{"state":"running",...}}
//	read                      200 {"restore":{"state":"finished",...}}
//	the provider refused it   502 restore-failed, with Retry-After
func (a *API) postRestore(x *exchange, r *http.Request) *problem {
	player, p := a.player(x, r)
	if p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), acceptPatience)
	defer cancel()
	now := a.moment()
	wish := purchases.ResyncRequest{ID: a.newID(), AppUserID: player, Reason: events.ResyncRestore, RequestedAt: now, NextAt: now.Add(restoreEvery)}
	result, err := a.committer.Commit(ctx, outbox.Effects{
		Guard: purchases.ResyncAsked{ResyncRequest: wish}, Events: []events.Event{wish.Event(events.Store)}, Owner: player, Intake: true,
	})
	if err != nil {
		return noSpend(commitFailed(r.Context(), err))
	}
	state := purchases.ResyncRunning
	if result != outbox.Applied {
		if wish, state, err = a.claims.ResyncRequest(ctx, player, events.ResyncRestore); err != nil {
			return noSpend(failed(r.Context(), err))
		}
	}
	return tellRestore(x, wish, state, now)
}

func tellRestore(x *exchange, wish purchases.ResyncRequest, state purchases.ResyncState, now time.Time) *problem {
	told := map[string]restoreTold{"restore": {state, wish.RequestedAt, wish.NextAt}}
	switch state {
	case purchases.ResyncFailed:
		p := problemf(RestoreFailed, "The provider refused to tell this player's purchases. Operators see why.")
		p.retryAfter, p.cause = max(time.Second, wish.NextAt.Sub(now)), errors.New("the resync is a dead letter")
		return p
	case purchases.ResyncFinished:
		return x.json(string(state), told)
	case purchases.ResyncRunning:
	}
	x.Header().Set("Retry-After", seconds(restoreRetry))
	return x.jsonAs(http.StatusAccepted, string(state), told)
}
