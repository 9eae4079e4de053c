package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// undelivered exports what waits for endpoints, also for those that the settings do not
// name: that somebody dropped a setting shows here.
type undelivered struct {
	books    *books.Books
	catalogs *books.Catalogs
	names    []string
}

// undeliveredPatience bounds what a scrape waits for PostgreSQL.
const undeliveredPatience = 3 * time.Second

var (
	waitingDesc = prometheus.NewDesc("sluice_handover_waiting_spends",
		"Spends that wait for an endpoint of the game: charged (the item is owed) or refunding (it is to be taken back).", []string{"endpoint", "state"}, nil)
	waitingAgeDesc = prometheus.NewDesc("sluice_handover_oldest_age_seconds",
		"Time since the charge of the oldest spend that waits for an endpoint of the game.", []string{"endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (*undelivered) Describe(ch chan<- *prometheus.Desc) { ch <- waitingDesc; ch <- waitingAgeDesc }

// Collect implements prometheus.Collector. Numbers that cannot be read are left out.
func (u *undelivered) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), undeliveredPatience)
	defer cancel()
	list, err := waitingFor(ctx, u.books, u.catalogs, u.names, time.Now())
	if err != nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, w := range list {
		gauge(waitingDesc, float64(w.Charged), w.Endpoint, string(economy.Charged))
		gauge(waitingDesc, float64(w.Refunding), w.Endpoint, string(economy.Refunding))
		gauge(waitingAgeDesc, w.OldestS, w.Endpoint)
	}
}
