package main

import (
	"context"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/internal/pacing"
)

// How much of the time goes into what no player waits for while players spend.
var (
	// consumersPace is that of consumers of purchases, movements and readings.
	consumersPace = pacing.Pacer{Share: env("X_SHARE", 0.12), RestMax: time.Second}
	// intakePace is that of webhooks: what arrives meanwhile is one commit, and the provider
	// waits no longer than that for its 200.
	intakePace = pacing.Pacer{Share: env("X_INTAKE", 0.25), RestMax: time.Duration(env("X_INTAKE_MAX", 20)) * time.Millisecond}
)

func env(name string, or float64) float64 {
	if f, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil {
		return f
	}
	return or
}

// giveWay watches whether players spend, until p.hurry is called, and returns what rests
// at a pace between two commits while they do.
func (p *process) giveWay() (resting func(pacing.Pacer) (rest func(worked time.Duration))) {
	ctx, cancel := context.WithCancel(context.Background())
	players := &pacing.Players{DB: p.db, Log: p.log}
	var watching sync.WaitGroup
	watching.Go(func() { players.Watch(ctx) })
	p.hurry = func() { cancel(); watching.Wait() }
	return func(pace pacing.Pacer) func(time.Duration) {
		pace.Spending = players.Spending
		return func(worked time.Duration) { pace.Rest(ctx, worked) }
	}
}
