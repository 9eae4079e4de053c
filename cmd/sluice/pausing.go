package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/operations"
)

// startGate reads what is paused, and again twice a second until stop is called.
func (p *process) startGate(ctx context.Context) (gate *operations.Gate, stop func(), err error) {
	gate, err = operations.NewGate(ctx, p.db, p.log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { gate.Run(ctx) })
	return gate, func() { cancel(); running.Wait() }, nil
}

// waitAtGate keeps the router's deliveries waiting while their consumer or lane is
// paused. Those in hand wait here, told of to the broker as work in progress; all
// others wait in the broker, since a consumer fetches no more than it may have in
// hand. Nothing is tried, so nothing fails. When the role ends they go back. Call it
// before anything that counts what is in hand.
func waitAtGate(role context.Context, router *consumers.Router, gate *operations.Gate) {
	router.AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			consumer, lane, _ := strings.Cut(message.HandlerNameFromCtx(msg.Context()), "/")
			if err := gate.Wait(role, consumer, lane); err != nil {
				return nil, fmt.Errorf("%s is paused, and this process ends: %w", consumer, err)
			}
			return next(msg)
		}
	})
}

// pausedError says that no call may start now.
type pausedError struct{ operations.Pause }

// pausedWait is when to come back: the delivery waits at the gate then.
const pausedWait = time.Second

// Error implements error.
func (e *pausedError) Error() string { return fmt.Sprintf("%s %s is paused", e.Scope, e.Name) }

// RetryAfter is when to come back.
func (*pausedError) RetryAfter() time.Duration { return pausedWait }

// pausedAt tells the API what keeps a spend from being accepted.
func pausedAt(gate *operations.Gate) func(item string, cost economy.Amounts) string {
	return func(item string, cost economy.Amounts) string {
		if pause, paused := gate.Spend(item, cost); paused {
			return string(pause.Scope) + " " + pause.Name
		}
		return ""
	}
}
