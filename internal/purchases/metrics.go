package purchases

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector exports what a person should look at.
type Collector struct{ DB *sqlx.DB }

const (
	// collectPatience bounds what a scrape waits for PostgreSQL.
	collectPatience = 3 * time.Second
	// collectMax bounds what a scrape counts.
	collectMax = 10_000
)

var (
	conflictsDesc = prometheus.NewDesc("sluice_customer_conflicts",
		"Customers in whom the histories of several players met, and nobody has looked yet; counted up to 10000.", nil, nil)
	unknownDesc = prometheus.NewDesc("sluice_purchases_unknown_product",
		"Purchases of products that no catalogue had, a minute after they were heard of: somebody paid and got nothing of ours; counted up to 10000.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) { ch <- conflictsDesc; ch <- unknownDesc }

// Collect implements prometheus.Collector. Numbers that cannot be read are left
// out, so that an alert on their absence works.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	var counted struct {
		Conflicts float64 `db:"conflicts"`
		Unknown   float64 `db:"unknown"`
	}
	err := c.DB.GetContext(ctx, &counted, `SELECT
		(SELECT count(*) FROM (SELECT FROM customer_conflicts WHERE resolved_at IS NULL LIMIT $1) c) AS conflicts,
		(SELECT count(*) FROM (SELECT FROM purchases
			WHERE catalog_version = 0 AND product_id <> '' AND recorded_at < now() - interval '1 minute' LIMIT $1) p) AS unknown`, collectMax)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(conflictsDesc, prometheus.GaugeValue, counted.Conflicts)
	ch <- prometheus.MustNewConstMetric(unknownDesc, prometheus.GaugeValue, counted.Unknown)
}
