package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// The defaults of a Config.
const (
	TimeoutDefault = 5 * time.Second // of one request, connecting included
	SlotsDefault   = 16              // requests under way at once
)

// Config says which endpoint is asked, and how.
type Config struct {
	Name    string           // as the catalogue calls it
	URL     string           // where every operation is posted
	Secrets []string         // whsec_..., each signs; one or more
	Timeout time.Duration    // 0: TimeoutDefault
	Slots   int              // 0: SlotsDefault
	Confirm bool             // a yes is believed only after a check
	HTTP    *http.Client     // nil: a client with our own transport; its redirects and timeout are never used
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: nothing is logged
	Metrics *Metrics         // nil: nothing is counted
	// Returned is called when the endpoint answers again after its circuit was open,
	// for whoever waits for that. It must not block; nil: nobody waits.
	Returned func(name string)
}

// Endpoint is one server of the game's. It is safe for concurrent use.
type Endpoint struct {
	name    string
	confirm bool
	client  client
	lane    *lane
	log     *slog.Logger
	metrics *Metrics
}

// New checks the configuration, all of it at once, and returns an endpoint. It
// opens no connection.
func New(cfg Config) (*Endpoint, error) {
	keys, err := parseSecrets(cfg.Secrets)
	if parsed, urlErr := url.Parse(cfg.URL); urlErr != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		err = errors.Join(err, errors.New("an endpoint's address begins with https:// or http:// and names a host"))
	}
	if cfg.Slots < 0 || cfg.Timeout < 0 {
		err = errors.Join(err, fmt.Errorf("%d slots, timeout %s: use more than 0", cfg.Slots, cfg.Timeout))
	}
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", cfg.Name, err)
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	metrics := cfg.Metrics
	if metrics == nil {
		metrics = NewMetrics(nil)
	}
	timeout, slots := cmp.Or(cfg.Timeout, TimeoutDefault), cmp.Or(cfg.Slots, SlotsDefault)
	returned := func() {
		log.Info("endpoint answers again: circuit closed", "endpoint", cfg.Name)
		if cfg.Returned != nil {
			cfg.Returned(cfg.Name)
		}
	}
	e := &Endpoint{
		name: cfg.Name, confirm: cfg.Confirm, lane: newLane(slots, now, returned), log: log, metrics: metrics,
		client: client{url: cfg.URL, keys: keys, timeout: timeout, http: newHTTPClient(cfg.HTTP, timeout, slots), now: now},
	}
	metrics.watch(e)
	return e, nil
}

// Close closes the connections that are idle.
func (e *Endpoint) Close() { e.client.http.CloseIdleConnections() }

// Grant asks the game to give the spend's item to its player: granted, refused,
// revoked, failed or later. Repeating it gives nothing twice.
func (e *Endpoint) Grant(ctx context.Context, s economy.Spend) Outcome {
	return e.confirmed(ctx, OpGrant, s, nil)
}

// Check asks what the game has on record of the spend: granted, revoked, none,
// failed or later. It changes nothing.
func (e *Endpoint) Check(ctx context.Context, s economy.Spend) Outcome {
	return e.call(ctx, OpCheck, s, nil)
}

// Revoke asks the game to take the item back and to refuse any later grant of the
// spend: revoked, granted (the player keeps it, for good), failed or later. The
// first definite answer is the last: asking again gives the same one. before, unless
// nil, is called when there is room for the request and before it is sent: when it says
// no, nothing is sent.
func (e *Endpoint) Revoke(ctx context.Context, s economy.Spend, before func() bool) Outcome {
	return e.confirmed(ctx, OpRevoke, s, before)
}

// confirmed asks, and believes what changes the world only when a check says the
// same, if the endpoint is one that must be confirmed.
func (e *Endpoint) confirmed(ctx context.Context, op Operation, s economy.Spend, before func() bool) Outcome {
	said := e.call(ctx, op, s, before)
	if !e.confirm || said.Kind != Granted && said.Kind != Revoked {
		return said
	}
	check := e.call(ctx, OpCheck, s, nil)
	switch {
	case !check.definite():
		return check
	case check.Kind == said.Kind:
		return said
	case op == OpGrant && check.Kind == Revoked: // by somebody else meanwhile
		return check
	}
	e.log.ErrorContext(ctx, "the game's server does not do what it says", "endpoint", e.name, "spend_id", s.ID,
		"operation", string(op), "said", string(said.Kind), "check", string(check.Kind))
	e.metrics.contradiction(e.name, op)
	return Outcome{Kind: Failed, Status: check.Status, Detail: fmt.Sprintf("answered a %s with %s, and a check says %s", op, said.Kind, check.Kind)}
}

// call makes one request, if the lane has room for it and before, unless nil, agrees.
func (e *Endpoint) call(ctx context.Context, op Operation, s economy.Spend, before func() bool) Outcome {
	pass, refused, why := e.lane.enter(ctx)
	if pass == nil {
		e.metrics.heldBack(e.name, why)
		return refused
	}
	r := newRequest(op, s)
	outcome := Outcome{Kind: Later, Detail: "not asked: interrupted"} // of a panic on the way
	defer func() { pass.leave(outcome) }()
	if before != nil && !before() {
		outcome.Detail = "not asked: its caller let it be"
		return outcome
	}
	outcome = classify(r, e.client.send(ctx, r))
	took := e.lane.now().Sub(pass.started)
	e.metrics.called(e.name, op, outcome, took)
	e.log.LogAttrs(ctx, slog.LevelDebug, "hand-over", slog.String("endpoint", e.name), slog.String("operation", string(op)),
		slog.String("spend_id", s.ID), slog.String("outcome", string(outcome.Kind)), slog.Int("status", outcome.Status),
		slog.String("detail", outcome.Detail), slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	return outcome
}
