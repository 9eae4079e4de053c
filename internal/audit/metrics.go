package audit

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector exports what the watcher found.
type Collector struct{ DB *sqlx.DB }

// collectPatience bounds what a scrape waits for PostgreSQL.
const collectPatience = 3 * time.Second

var (
	findingsDesc = prometheus.NewDesc("sluice_audit_findings",
		"Lines, prices, items, calls and acts that do not agree with their spends, as the audit of the last minutes found, until they are mended.", []string{"kind"}, nil)
	ageDesc = prometheus.NewDesc("sluice_audit_age_seconds",
		"Since what changed was audited last.", nil, nil)
	passDesc = prometheus.NewDesc("sluice_audit_pass_age_seconds",
		"Since the last slow pass over everything ended.", nil, nil)
)

// kinds are the kinds of findings that the watcher makes.
var kinds = []Kind{
	LineMissing, LineExtra, LineAmount, LinePlayer, LineAccounts, LineOrphan, NotApplied, NotBound, NotSent, CostWrong, CatalogChanged,
	ActMissing, ItemMissing, ItemExtra, MovementWrong, CorrectionSums,
}

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- findingsDesc
	ch <- ageDesc
	ch <- passDesc
}

// Collect implements prometheus.Collector. Numbers that cannot be read, or are not
// there yet, are left out, so that an alert on their absence works.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	var counted []struct {
		Kind Kind    `db:"kind"`
		Open float64 `db:"open"`
	}
	if err := c.DB.SelectContext(ctx, &counted, "SELECT kind, count(*) AS open FROM audit_findings WHERE mended_at IS NULL GROUP BY kind"); err != nil {
		return
	}
	open := map[Kind]float64{}
	for _, one := range counted {
		open[one.Kind] = one.Open
	}
	for _, kind := range kinds {
		ch <- prometheus.MustNewConstMetric(findingsDesc, prometheus.GaugeValue, open[kind], string(kind))
	}
	var ages struct {
		Age  float64         `db:"age"`
		Pass sql.NullFloat64 `db:"pass"`
	}
	if err := c.DB.GetContext(ctx, &ages, `SELECT extract(epoch FROM now() - audited_at)::float8 AS age,
		extract(epoch FROM now() - pass_ended_at)::float8 AS pass FROM audit_positions`); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, ages.Age)
	if ages.Pass.Valid {
		ch <- prometheus.MustNewConstMetric(passDesc, prometheus.GaugeValue, ages.Pass.Float64)
	}
}
