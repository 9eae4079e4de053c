package budget

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Client is what a Provider calls; revenuecat.Client is one.
type Client interface {
	Adjust(ctx context.Context, request revenuecat.Request) economy.Outcome
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Provider calls the provider when the budget and the circuit allow it. What may
// not start now was not sent: its outcome is temporary and says when to come back,
// never unknown. The client's Observe must be the budget's. Whoever must prepare a
// call asks Admit first and prepares it only when it may start.
type Provider struct {
	budget *Budget
	client Client
	adjust Weight
}

// NewProvider returns a provider whose adjustments have a weight: Live, or Backfill.
// A refund, known by its idempotency key `<spend>:refund`, always weighs Refund, and
// a reading of balances Resync.
func NewProvider(b *Budget, client Client, adjust Weight) *Provider {
	return &Provider{budget: b, client: client, adjust: adjust}
}

// Adjust is revenuecat.Client's, when it may start: Admit and Call.Adjust in one.
func (p *Provider) Adjust(ctx context.Context, r revenuecat.Request) economy.Outcome {
	call, err := p.Admit(ctx, r.AppUserID, strings.HasSuffix(r.IdempotencyKey, ":refund"))
	if err != nil {
		return notSent(err)
	}
	return call.Adjust(ctx, r)
}

// Balances is revenuecat.Client's, when it may start. One permit covers all pages;
// a project with more than one is the headroom's.
func (p *Provider) Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error) {
	a, err := p.budget.begin(ctx, revenuecat.CustomerInformation, Resync, appUserID)
	if err != nil {
		failure := &revenuecat.Error{Op: revenuecat.OpBalances, Detail: err.Error(), Err: err}
		if notYet, ok := errors.AsType[*NotYet](err); ok {
			failure.RetryAfter = notYet.After
		}
		return revenuecat.Reading{}, failure
	}
	ctx, done := a.context(ctx)
	defer done()
	reading, err := p.client.Balances(ctx, appUserID)
	status := http.StatusOK
	if failure, ok := errors.AsType[*revenuecat.Error](err); ok {
		status = failure.Status
	}
	a.end(ctx, status)
	return reading, err
}

// attempt is one call that may start.
type attempt struct {
	budget  *Budget
	permit  Permit
	probe   bool      // the circuit hangs on it
	begunAt time.Time // no later than the probe's lease
	ended   bool
}

// begin waits for a permit and asks the circuit, before and after: it may have
// opened meanwhile.
func (b *Budget) begin(ctx context.Context, domain revenuecat.Domain, weight Weight, player string) (*attempt, error) {
	b.mu.Lock()
	refusal := b.breaker.refusal(domain, b.config.Now())
	b.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	permit, err := b.Take(ctx, domain, weight.within(ctx), player)
	if err != nil {
		return nil, err
	}
	a := &attempt{budget: b, permit: permit, begunAt: b.config.Now()}
	if a.probe, err = b.pass(ctx, domain); err != nil {
		permit.Unused()
		return nil, err
	}
	if a.probe && !permit.Good() { // asking for the probe took its time, and a pause may have come
		a.drop()
		return nil, &NotYet{Domain: domain, After: probeWait / 10, Why: whyProbing}
	}
	return a, nil
}

// good reports whether the call may still start: its permit may have lapsed, a
// pause have come, or the circuit have opened.
func (a *attempt) good() bool {
	b := a.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return a.permit.desk.good(a.permit) && (a.probe || !b.breaker.open)
}

// drop gives back what begin took: the call is not made.
func (a *attempt) drop() {
	a.ended = true
	a.permit.Unused()
	if a.probe {
		a.budget.conclude(noWord)
	}
}

// pass asks the circuit. probe is true for the one call, over all processes, that
// may go through an open one.
func (b *Budget) pass(ctx context.Context, domain revenuecat.Domain) (probe bool, err error) {
	b.mu.Lock()
	now := b.config.Now()
	if !b.breaker.open {
		b.mu.Unlock()
		return false, nil
	}
	if refusal := b.breaker.refusal(domain, now); refusal != nil || b.breaker.claiming {
		b.mu.Unlock()
		if refusal == nil {
			refusal = &NotYet{Domain: domain, After: probeWait, Why: whyProbing}
		}
		return false, refusal
	}
	b.breaker.claiming = true
	b.mu.Unlock()
	state, claimed, err := b.store.circuit(ctx, claimProbe, probeLease.Milliseconds(), b.config.Process)
	if err == nil && !claimed { // another process has it, or has closed the circuit
		b.look(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		b.breaker.claiming = false
		return false, &NotYet{Domain: domain, After: probeWait, Why: whyUnsure, Err: err}
	case claimed:
		b.breaker.learn(state, now)
		return true, nil
	}
	b.breaker.claiming = false
	if !b.breaker.open {
		return false, nil
	}
	return false, &NotYet{Domain: domain, After: probeWait, Why: whyProbing}
}

// context bounds a probe, so that it has ended before another may be sent.
func (a *attempt) context(ctx context.Context) (context.Context, func()) {
	if !a.probe {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime-a.budget.config.Now().Sub(a.begunAt))
	return ctx, func() {
		cancel()
		if !a.ended { // the call panicked
			a.budget.conclude(noWord)
		}
	}
}

// end tells what became of the call, by its HTTP status; 0: there was no answer.
func (a *attempt) end(ctx context.Context, status int) {
	a.ended = true
	if a.probe {
		gaveUp := errors.Is(ctx.Err(), context.Canceled)
		a.budget.conclude(verdictOf(revenuecat.Call{Status: status, GaveUp: gaveUp}))
	}
}

// conclude gives the probe's lease back, with what the probe has shown.
func (b *Budget) conclude(h health) {
	var (
		state   circuitState
		changed bool
		err     error
	)
	me := b.config.Process
	ctx := context.WithoutCancel(b.ctx) // while closing, too: others wait for this word
	switch h {
	case alive:
		state, changed, err = b.store.circuit(ctx, closeCircuit, me)
	case failed:
		state, changed, err = b.store.circuit(ctx, stayOpen, openFirst.Milliseconds(), openMax.Milliseconds(), me)
	case noWord:
		state, changed, err = b.store.circuit(ctx, releaseProbe, me)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breaker.claiming = false
	if err != nil {
		b.config.Log.WarnContext(ctx, "probe not recorded; its lease runs out", "error", err)
		return
	}
	if changed {
		b.breaker.learn(state, b.config.Now())
		if h == alive {
			b.config.Log.InfoContext(ctx, "provider is back: circuit closed")
		}
	}
}

// untilProbe is how long an open circuit lets nothing through.
func (b *Budget) untilProbe() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.breaker.wait(b.config.Now())
}
