package main

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/internal/pacing"
)

// How much of the time goes into what no player waits for while players spend.
var (
	// consumersPace is that of consumers of purchases, movements and readings.
	consumersPace = pacing.Pacer{Share: 0.06, RestMax: time.Second}
	// intakePace is that of webhooks: what arrives meanwhile is one commit, and the provider
	// waits no longer than that for its 200.
	intakePace = pacing.Pacer{Share: 0.12, RestMax: 20 * time.Millisecond}
)

// giveWay watches whether players spend, until p.hurry is called, and returns what tells
// it, and what rests at a pace between two commits while they do.
func (p *process) giveWay() (spending func() bool, resting func(pacing.Pacer) (rest func(worked time.Duration))) {
	ctx, cancel := context.WithCancel(context.Background())
	players := &pacing.Players{DB: p.db, Log: p.log}
	var watching sync.WaitGroup
	watching.Go(func() { players.Watch(ctx) })
	p.hurry = func() { cancel(); watching.Wait() }
	return players.Spending, func(pace pacing.Pacer) func(time.Duration) {
		pace.Spending = players.Spending
		return func(worked time.Duration) { pace.Rest(ctx, worked) }
	}
}
