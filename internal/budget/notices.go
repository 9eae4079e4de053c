package budget

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// notice is what processes tell each other: a pause of a domain, or a change of
// the circuit. Times are durations, since clocks differ.
type notice struct {
	Domain   revenuecat.Domain `json:"domain"`
	ClosedMS int64             `json:"closed_ms"`
	Circuit  *circuitState     `json:"circuit"`
}

// Closed records a pause the provider asked for: no call of the domain starts in
// this process from now on, nor in any other once it has heard, before pause has
// passed. A pause never shortens another.
func (b *Budget) Closed(ctx context.Context, domain revenuecat.Domain, pause time.Duration) error {
	b.mu.Lock()
	b.desk(domain).close(b.config.Now().Add(pause))
	b.mu.Unlock()
	return b.store.close(ctx, domain, pause)
}

// Observe learns from a call that was made: the limit, a pause, the provider's
// health. It is made for revenuecat.Config.Observe, and returns once other
// processes know of a pause.
func (b *Budget) Observe(call revenuecat.Call) {
	b.mu.Lock()
	d, now := b.desk(call.Domain), b.config.Now()
	if call.Limit > 0 {
		d.usage, d.usageAt = call.Used, now
		if call.Limit != d.limit {
			d.limit, d.limitNew = call.Limit, true
			d.wake()
		}
	}
	trip, version := false, b.breaker.version
	if !b.breaker.open {
		trip = b.breaker.failures.note(verdictOf(call), now)
		if trip { // nobody else of this process trips it, too
			b.breaker.open, b.breaker.probeAt = true, now.Add(openFirst)
		}
	}
	b.mu.Unlock()
	if call.Pause > 0 {
		if err := b.Closed(b.ctx, call.Domain, call.Pause); err != nil {
			b.config.Log.WarnContext(b.ctx, "other processes do not know of the pause", "domain", string(call.Domain), "error", err)
		}
	}
	if trip {
		b.trip(call, version)
	}
}

// trip opens the circuit for everybody.
func (b *Budget) trip(call revenuecat.Call, version int64) {
	state, changed, err := b.store.circuit(b.ctx, openCircuit, openFirst.Milliseconds(), call.Detail, version)
	if err != nil {
		b.config.Log.WarnContext(b.ctx, "circuit opened in this process only", "error", err)
		return
	}
	if !changed { // somebody else changed it meanwhile
		b.look(b.ctx)
		return
	}
	b.config.Log.ErrorContext(b.ctx, "provider is down: circuit open", "status", call.Status, "detail", call.Detail)
	b.mu.Lock()
	b.breaker.learn(state, b.config.Now())
	b.mu.Unlock()
}

// listen hears what other processes tell.
func (b *Budget) listen() {
	if err := postgres.Listen(b.ctx, b.config.Listen, channel, b.hear); err != nil {
		b.config.Log.ErrorContext(b.ctx, "budget hears no notices", "error", err)
		b.hear(postgres.Deaf, "")
	}
}

func (b *Budget) hear(heard postgres.Heard, payload string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch heard {
	case postgres.Connected:
		b.heard, b.connected = b.heard+1, true
		select { // what was missed is read before notices count
		case b.reload <- struct{}{}:
		default:
		}
	case postgres.Deaf:
		b.heard, b.connected, b.hearing = b.heard+1, false, false
		for _, d := range b.desks {
			d.void()
		}
	case postgres.Notice:
		var n notice
		if json.Unmarshal([]byte(payload), &n) != nil {
			return // not one of ours
		}
		now := b.config.Now()
		if n.Circuit != nil {
			b.breaker.learn(*n.Circuit, now)
		}
		if n.Domain != "" && n.ClosedMS > 0 {
			b.desk(n.Domain).close(now.Add(time.Duration(n.ClosedMS) * time.Millisecond))
		}
	}
}

// watch reads the accounts now and then, and when notices were missed.
func (b *Budget) watch() {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		b.mu.Lock()
		heard := b.heard
		b.mu.Unlock()
		if b.look(b.ctx) {
			b.mu.Lock()
			b.hearing = b.connected && heard == b.heard
			b.mu.Unlock()
		}
		select {
		case <-b.ctx.Done():
			return
		case <-ticker.C:
		case <-b.reload:
		}
	}
}

// look reads every account. false: PostgreSQL did not answer.
func (b *Budget) look(ctx context.Context) bool {
	records, circuit, err := b.store.all(ctx)
	if err != nil {
		return false // those who take permits hear of it
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breaker.learn(circuit, b.config.Now())
	for _, r := range records {
		b.desk(revenuecat.Domain(r.Domain)).learn(r)
	}
	return true
}

// learn takes over what a record says.
func (d *desk) learn(r record) {
	now := d.budget.config.Now()
	if !d.limitNew {
		d.limit = r.Limit
	}
	if r.ClosedUntil > r.Now {
		d.close(now.Add(time.Duration(r.ClosedUntil-r.Now) * time.Millisecond))
	}
	d.demand = r.account.demand()
	d.budget.breaker.learn(r.circuitState, now)
}
