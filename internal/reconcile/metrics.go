package reconcile

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector exports what the last comparisons found.
type Collector struct{ DB *sqlx.DB }

// collectPatience bounds what a scrape waits for PostgreSQL.
const collectPatience = 3 * time.Second

var (
	unitsDesc = prometheus.NewDesc("sluice_drift_units",
		"Units by which balances at the provider differ from our ledger, without their signs, as they were compared last.", []string{"currency"}, nil)
	playersDesc = prometheus.NewDesc("sluice_drift_players",
		"Customers whose balance at the provider differs from our ledger, as they were compared last.", []string{"currency"}, nil)
)

// driftsQuery sums what differs, of every currency that the shop sells for or that differs.
const driftsQuery = `SELECT currency, coalesce(sum(units), 0)::float8 AS units, coalesce(sum(players), 0)::float8 AS players FROM (
		SELECT currency, sum(abs(drift)) AS units, count(*) AS players FROM reconciliations WHERE drift <> 0 GROUP BY currency
		UNION ALL
		SELECT DISTINCT p.currency, 0, 0 FROM (SELECT body FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1) c,
			jsonb_each(c.body -> 'items') i, jsonb_object_keys(i.value -> 'price') p (currency)) d
	GROUP BY currency`

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) { ch <- unitsDesc; ch <- playersDesc }

// Collect implements prometheus.Collector. Numbers that cannot be read are left out.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	var sums []struct {
		Currency string  `db:"currency"`
		Units    float64 `db:"units"`
		Players  float64 `db:"players"`
	}
	if err := c.DB.SelectContext(ctx, &sums, driftsQuery); err != nil {
		return
	}
	for _, sum := range sums {
		ch <- prometheus.MustNewConstMetric(unitsDesc, prometheus.GaugeValue, sum.Units, sum.Currency)
		ch <- prometheus.MustNewConstMetric(playersDesc, prometheus.GaugeValue, sum.Players, sum.Currency)
	}
}
