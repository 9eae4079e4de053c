package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// documented is a row of docs/metrics.md.
type documented struct {
	kind   string
	labels map[string]*regexp.Regexp // what their values must match
}

var (
	metricRow = regexp.MustCompile("^\\| `(sluice_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|")
	labelCell = regexp.MustCompile("^`([a-z]+)`: (.+)$")
)

// labelValues are the values that stand for others in the table.
func labelValues() map[string]string {
	var consumers, lanes []string
	for _, spec := range specs {
		consumers = append(consumers, spec.Name)
	}
	for _, lane := range events.Lanes {
		lanes = append(lanes, string(lane))
	}
	return map[string]string{
		"`<consumer>`": strings.Join(consumers, "|"), "`<lane>`": strings.Join(lanes, "|"), "`<none>`": "",
		"`<finding>`": "[a-z]+(_[a-z]+)*", "`<partition>`": `\d|1[0-5]`,
		"`<domain>`": "virtual_currencies_create_transaction|customer_information", "`<operation>`": "grant|check|revoke",
		"`<route>`": `none|/|((GET|POST) )?(/[a-z]+|/\{[a-z]+\})+`, "`<status>`": `0|[1-5]\d\d`,
		"`<op>`":    "adjust|create_customer|balances|customer|aliases|purchases|subscriptions|subscription_transactions|find_purchases|find_subscriptions|products|product",
		"`<event>`": "unknown|none|[A-Z]+(_[A-Z]+)*", "`<verdict>`": "accepted|about_nobody|duplicate|refused_environment|client_gone|[a-z]+(-[a-z]+)*", "`<currency>`": "[A-Z]+",
		"`<problem>`": "[a-z]+(-[a-z]+)*", "`<guard>`": "[a-z]+(_[a-z]+)*", "`<endpoint>`": "[a-z0-9_-]+",
	}
}

// metricsTable reads docs/metrics.md.
func metricsTable(t *testing.T) map[string]documented {
	t.Helper()
	raw, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	table, stands := map[string]documented{}, labelValues()
	for line := range strings.Lines(string(raw)) {
		row := metricRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		it := documented{kind: row[2], labels: map[string]*regexp.Regexp{}}
		for cell := range strings.SplitSeq(strings.TrimSpace(row[3]), "; ") {
			label := labelCell.FindStringSubmatch(cell)
			if label == nil {
				require.Empty(t, cell, "the labels of %s", row[1])
				continue
			}
			values := strings.Split(label[2], ", ")
			for i, value := range values {
				if strings.HasPrefix(value, "`<") {
					require.Contains(t, stands, value, row[1])
					values[i] = stands[value]
				}
			}
			it.labels[label[1]] = regexp.MustCompile("^(" + strings.Join(values, "|") + ")$")
		}
		require.NotContains(t, table, row[1], "it stands there twice")
		table[row[1]] = it
	}
	return table
}

// TestEveryMetricStandsInTheTable: what the code names, docs/metrics.md names, and
// nothing else.
func TestEveryMetricStandsInTheTable(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	literal := regexp.MustCompile(`(?:Name: |NewDesc\()"(sluice_[a-z_]+)"`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, found := range literal.FindAllStringSubmatch(string(raw), -1) {
			named[found[1]] = true
		}
		return err
	}))
	require.Equal(t, slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(metricsTable(t))))
}

// TestMetricsAreWhatTheTableSays: all roles, after spends of every outcome, a
// purchase, what no client should ask, and a message that was lost. Every metric of
// the table is there, with its type and labels, and none beside; every label's values
// are those of the table, whatever clients invent; and the names follow Prometheus'
// conventions.
func TestMetricsAreWhatTheTableSays(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_SERVER_KEYS=metrics-server-key").seed().up()
	s.give("player", economy.Amounts{"GEM": 500})
	for item, code := range map[string]int{
		"extra_life": http.StatusOK, "guild_banner": http.StatusOK, "cursed_relic": http.StatusInternalServerError, "legendary_skin": http.StatusPaymentRequired, "invented": http.StatusBadRequest,
	} {
		r := s.spend(t, "player", item, item)
		require.Equal(t, code, r.code, r)
	}
	s.control(http.MethodPost, "/buy", `{"customer":"buyer","product":"gems_100","store":"app_store"}`, nil)
	r, err := s.send(http.MethodPost, "/webhooks/revenuecat", "{}", "Authorization", "Bearer invented")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, r.code, r)
	server := []string{"Authorization", "Bearer metrics-server-key", "Content-Type", "application/json"}
	r, err = s.send(http.MethodPost, "/grants", `{"app_user_id":"player","adjustments":{"GEM":1},"reason":"quest","idempotency_key":"g"}`, server...)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.code, r)
	for i := range 20 {
		for _, path := range []string{"/spends/invented-%d", "/invented/%d", "/wallet?invented=%d", "/spend"} {
			_, err := s.send([]string{http.MethodGet, "BREW"}[i%2], strings.ReplaceAll(path, "%d", fmt.Sprint(i)), "")
			require.NoError(t, err)
		}
	}
	// What serve writes once a minute where a silence is watched for, which dev does not.
	_, err = s.database().ExecContext(t.Context(), "INSERT INTO webhook_heartbeat (since, beat_at) VALUES (now(), now())")
	require.NoError(t, err)
	// A delivery that was lost, of a spend that does not exist: the sweeper publishes
	// it, and it ends as a dead letter.
	ghost := events.NewSpendCharged("01980000-0000-7000-8000-000000000001", "player", time.Now())
	payload, err := ghost.Encode()
	require.NoError(t, err)
	_, err = s.database().ExecContext(t.Context(), `INSERT INTO outbox (event_id, consumer, lane, subject, payload, published_at)
		VALUES ($1, 'fulfil', 'live', $2, $3, now() - interval '1 hour')`, ghost.ID, ghost.Subject(), string(payload))
	require.NoError(t, err)
	_, err = s.database().ExecContext(t.Context(), `INSERT INTO outbox (event_id, consumer, lane, subject, payload, due_at, published_at)
		VALUES ('parked', 'fulfil', 'live', $1, $2, now() + interval '1 hour', NULL)`, ghost.Subject(), string(payload))
	require.NoError(t, err)

	table := metricsTable(t)
	var text string
	var families map[string]*dto.MetricFamily
	whole := func() bool {
		scrape, err := s.send(http.MethodGet, "/metrics", "")
		if err != nil {
			return false
		}
		text = scrape.raw
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err = parser.TextToMetricFamilies(strings.NewReader(text))
		return err == nil && len(missingFrom(table, families)) == 0
	}
	if !assert.Eventually(t, whole, startPatience, 5*tick) {
		require.FailNow(t, "metrics are missing", "%q", missingFrom(table, families))
	}
	for name, family := range families {
		if !strings.HasPrefix(name, "sluice_") {
			require.Regexp(t, "^(go|process)_", name)
			continue
		}
		row, ok := table[name]
		if !assert.True(t, ok, "%s is not in the table", name) {
			continue
		}
		assert.Equal(t, row.kind, strings.ToLower(family.GetType().String()), name)
		for _, metric := range family.GetMetric() {
			assert.Len(t, metric.GetLabel(), len(row.labels), name)
			for _, label := range metric.GetLabel() {
				if assert.Contains(t, row.labels, label.GetName(), name) {
					assert.Regexp(t, row.labels[label.GetName()], label.GetValue(), "%s{%s}", name, label.GetName())
				}
			}
		}
		assert.Less(t, len(family.GetMetric()), 60, "%s has too many series", name)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		assert.False(t, strings.HasPrefix(problem.Metric, "sluice_"), "%s: %s", problem.Metric, problem.Text)
	}
	require.NotContains(t, text, "invented")
}

// missingFrom returns the metrics of the table that a scrape does not have.
func missingFrom(table map[string]documented, families map[string]*dto.MetricFamily) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(table)), func(name string) bool { return families[name] != nil })
}
