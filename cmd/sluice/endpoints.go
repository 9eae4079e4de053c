package main

import (
	"context"
	"sync"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// startEndpoints makes the game's own servers ready to be asked. None is dialled.
func (p *process) startEndpoints() (err error) {
	h, metrics := p.config.HandOver, handover.NewMetrics(p.registry)
	p.returned = map[string]chan struct{}{}
	for _, name := range endpointNames(h) {
		p.returned[name] = make(chan struct{}, 1)
	}
	p.endpoints, err = handover.NewEndpoints(endpointConfigs(h, func(c *handover.Config) {
		c.Log, c.Metrics = p.log, metrics
		c.Returned = func(name string) {
			select {
			case p.returned[name] <- struct{}{}:
			default: // it is known already
			}
		}
	}))
	return err
}

// tellTroubles tells all processes what this one meets at the game's servers, until stop:
// while the role drains, too.
func (p *process) tellTroubles() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	troubles := monitor.Troubles{DB: p.db, Process: p.provider.id, Look: p.endpoints.Troubles, Log: p.log}
	var running sync.WaitGroup
	running.Go(func() { troubles.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

func endpointConfigs(h config.HandOver, more func(*handover.Config)) []handover.Config {
	var list []handover.Config
	for _, e := range h.Endpoints() {
		cfg := handover.Config{Name: e.Name, URL: e.URL.Reveal(), Confirm: e.Confirm, Timeout: h.Timeout, Slots: h.Concurrency}
		for _, secret := range e.Secrets {
			cfg.Secrets = append(cfg.Secrets, secret.Reveal())
		}
		more(&cfg)
		list = append(list, cfg)
	}
	return list
}

func endpointNames(h config.HandOver) []string {
	names := make([]string, len(h.URLs))
	for i, at := range h.URLs {
		names[i] = at.Name
	}
	return names
}

// roomFor is how many more deliveries a consumer may have in hand because endpoints
// keep some of them: those of other ports have the room they had without endpoints.
func (p *process) roomFor(spec consumers.Spec) int {
	if spec.Name == fulfil.Spec.Name || spec.Name == compensate.Spec.Name {
		return p.endpoints.Room()
	}
	return 0
}
