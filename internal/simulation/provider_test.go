package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// provider models RevenueCat behind its client: one change per key, no balance
// below zero, and all that can happen to a call on its way.
type provider struct {
	*world
	balances map[string]economy.Amounts // by player
	given    map[string]economy.Amounts // what each came with and bought
	applied  map[string]appliedCall     // by key
	away     map[string]time.Duration   // players it has no time for, and the wait it asks for
	stuck    map[string]bool            // keys it answers 409 for good
	asked    map[string]int             // by key: how many spends had been accepted when the latest call began
	refusals map[string]refused         // by key: the latest refusal for lack of funds
}

// refused is a refusal and what led to it.
type refused struct {
	held     economy.Amounts
	accepted int // how many spends had been accepted when the call began
}

type appliedCall struct {
	player string
	body   []byte
}

func newProvider(w *world) *provider {
	return &provider{world: w, balances: map[string]economy.Amounts{}, given: map[string]economy.Amounts{}, applied: map[string]appliedCall{},
		away: map[string]time.Duration{}, stuck: map[string]bool{}, asked: map[string]int{}, refusals: map[string]refused{}}
}

// held returns what a player has of every currency.
func (p *provider) held(player string) economy.Amounts {
	return economy.Amounts{"GEM": 0, "GOLD": 0}.Plus(p.balances[player])
}

// give adds to a balance: what a player starts with, or a purchase in the store.
func (p *provider) give(player string, amounts economy.Amounts) {
	p.given[player] = p.given[player].Plus(amounts)
	p.balances[player] = p.balances[player].Plus(amounts)
	p.say("%s gets %s and has %s", player, amounts, p.balances[player])
}

// Adjust implements adjustments.Provider as revenuecat.Client and the provider
// together do.
func (p *provider) Adjust(ctx context.Context, r revenuecat.Request) economy.Outcome {
	p.pause("call " + r.IdempotencyKey)
	p.asked[r.IdempotencyKey] = len(p.db.spends)
	outcome := p.call(ctx, r)
	p.say("call %s: %s (%s)", r.IdempotencyKey, outcome.Kind, outcome.Detail)
	return outcome
}

func (p *provider) call(ctx context.Context, r revenuecat.Request) economy.Outcome {
	f := p.faults
	wait, away := p.away[r.AppUserID]
	switch {
	case away:
		return economy.Outcome{Kind: economy.Temporary, RetryAfter: wait, Detail: "503"}
	case ctx.Err() != nil:
		return economy.Outcome{Kind: economy.Temporary, Detail: "not sent: the caller's time was over"}
	case p.chance(f.CallNotSent):
		return economy.Outcome{Kind: economy.Temporary, Detail: "not sent"}
	case p.panics > 0 && p.chance(f.CallPanics):
		p.panics--
		panic("a mistake before the call")
	}
	p.pause("request " + r.IdempotencyKey + " arrives")
	switch {
	case ctx.Err() != nil:
		return economy.Outcome{Kind: economy.Unknown, Detail: "no answer in time, never arrived"}
	case p.chance(f.CallBusy):
		waits := []time.Duration{0, time.Second, 30 * time.Second}
		return economy.Outcome{Kind: economy.Temporary, RetryAfter: waits[p.random.IntN(len(waits))], Detail: "429"}
	case p.stuck[r.IdempotencyKey]:
		return conflict
	case p.chance(f.CallBroken):
		p.jam(r.IdempotencyKey)
		return economy.Outcome{Kind: economy.Unknown, Detail: "500, nothing done"}
	case p.chance(f.CallRefused) && !credits(r.Body):
		return economy.Outcome{Kind: economy.Refused, Detail: "404"}
	}
	outcome := p.transact(r)
	p.say("provider decides on %s: %s; %s has %s", r.IdempotencyKey, outcome.Kind, r.AppUserID, p.balances[r.AppUserID])
	p.checkAlways()
	p.pause("answer to " + r.IdempotencyKey)
	switch {
	case ctx.Err() != nil, p.chance(f.CallLost):
		p.jam(r.IdempotencyKey)
		return economy.Outcome{Kind: economy.Unknown, Detail: "answer lost"}
	case p.panics > 0 && p.chance(f.CallPanics):
		p.panics--
		panic("a mistake after the call")
	}
	return outcome
}

// conflict is the answer to a key that was seen before, and tells no more
// (RevenueCat API v2, 409 Conflict).
var conflict = economy.Outcome{Kind: economy.Unknown, Status: http.StatusConflict, Detail: "409"}

// jam may have a key answered with a conflict from now on.
func (p *provider) jam(key string) {
	if p.chance(p.faults.CallStuck) {
		p.stuck[key] = true
		p.say("key %s is answered 409 from now on", key)
	}
}

// Balances implements adjustments.Readings.
func (p *provider) Balances(ctx context.Context, player string) (revenuecat.Reading, error) {
	reading := revenuecat.Reading{Known: true, StartedAt: p.now()}
	p.pause("read the balances of " + player)
	if ctx.Err() != nil || p.chance(p.faults.CallNotSent) {
		return revenuecat.Reading{}, errAway
	}
	reading.Balances = p.held(player)
	p.say("%s has %s", player, reading.Balances)
	p.pause("answer to the reading of " + player)
	if ctx.Err() != nil {
		return revenuecat.Reading{}, errAway
	}
	return reading, nil
}

// transact is the provider's own rule.
func (p *provider) transact(r revenuecat.Request) economy.Outcome {
	deltas := deltasOf(r.Body)
	if before, known := p.applied[r.IdempotencyKey]; known {
		if before.player != r.AppUserID || !bytes.Equal(before.body, r.Body) {
			p.broken("key %s was used for another request", r.IdempotencyKey)
			return conflict
		}
		if p.chance(p.faults.CallSeen) {
			return conflict
		}
		return p.answered(r.AppUserID, deltas, "replayed")
	}
	for currency, delta := range deltas {
		if p.balances[r.AppUserID][currency]+delta < 0 {
			p.refusals[r.IdempotencyKey] = refused{p.held(r.AppUserID), p.asked[r.IdempotencyKey]}
			return economy.Outcome{Kind: economy.Insufficient, Detail: "422"}
		}
	}
	p.applied[r.IdempotencyKey] = appliedCall{r.AppUserID, bytes.Clone(r.Body)}
	p.balances[r.AppUserID] = p.balances[r.AppUserID].Plus(deltas)
	p.checkApplied(r)
	return p.answered(r.AppUserID, deltas, "applied")
}

func (p *provider) answered(player string, deltas economy.Amounts, how string) economy.Outcome {
	now := make(economy.Amounts, len(deltas))
	for currency := range deltas {
		now[currency] = p.balances[player][currency]
	}
	return economy.Outcome{Kind: economy.Applied, Balances: now, Detail: how}
}

func deltasOf(body []byte) economy.Amounts {
	var request struct{ Adjustments economy.Amounts }
	if err := json.Unmarshal(body, &request); err != nil {
		panic(err)
	}
	return request.Adjustments
}

func credits(body []byte) bool {
	for _, delta := range deltasOf(body) {
		if delta > 0 {
			return true
		}
	}
	return false
}

var _ adjustments.Provider = (*provider)(nil)
