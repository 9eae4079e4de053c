package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluice-gems/sluice/internal/broker"
)

// countAdvisories counts what JetStream tells of by itself, until stop is called.
func (p *process) countAdvisories() (stop func(), err error) {
	count := promauto.With(p.registry).NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_broker_advisories_total", Help: "What JetStream told of by itself, by kind; counted by one of the processes that listen.",
	}, []string{"kind"})
	for _, kind := range broker.Advisories {
		count.WithLabelValues(string(kind))
	}
	if stop, err = p.conn.OnAdvisory(func(kind broker.Advisory) { count.WithLabelValues(string(kind)).Inc() }); err != nil {
		return nil, fmt.Errorf("advisories: %w", err)
	}
	return stop, nil
}
