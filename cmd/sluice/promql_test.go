package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// alertRule is a rule of deploy/prometheus.
type alertRule struct {
	Alert, Expr, For string
}

func alertRules(t testing.TB) []alertRule {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/prometheus/sluice.rules.yml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []alertRule } }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	require.NotEmpty(t, file.Groups)
	return file.Groups[0].Rules
}

// panel is one of the dashboard.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr string }
}

func dashboardPanels(t testing.TB) []panel {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/grafana/sluice.json")
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(raw, &dashboard))
	return dashboard.Panels
}

// filled is a query with values for the dashboard's variables.
func filled(query string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(query)
}

// TestRulesAndDashboardAskForWhatIsExported: every query parses, and every metric,
// label and value in it stands in docs/metrics.md, which another test holds to what
// the roles export.
func TestRulesAndDashboardAskForWhatIsExported(t *testing.T) {
	t.Parallel()
	table, asked := metricsTable(t), map[string]bool{}
	check := func(where, query string) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(filled(query))
		if assert.NoError(t, err, "%s: %s", where, query) {
			(&queryCheck{t: t, where: where + ": " + query, table: table, asked: asked}).walk(expr, "")
		}
	}
	for _, rule := range alertRules(t) {
		check(rule.Alert, rule.Expr)
	}
	for _, p := range dashboardPanels(t) {
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}
	for name, row := range table {
		if row.kind == "gauge" {
			assert.True(t, asked[name], "nobody looks at %s: it is in no rule and no panel", name)
		}
	}
}

// TestDashboardPanelsDoNotOverlap: nor have two the same id, which Grafana mixes up.
func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboardPanels(t) {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

// scraped are the labels that Prometheus itself adds.
var scraped = []string{"job", "instance"}

// queryCheck holds one query against the table of metrics.
type queryCheck struct {
	t     *testing.T
	where string
	table map[string]documented
	asked map[string]bool
}

// walk checks an expression and returns the labels that it may group by. within is
// the function it is an argument of.
func (c *queryCheck) walk(node parser.Node, within string) []string {
	switch n := node.(type) {
	case *parser.VectorSelector:
		return c.selector(n, within)
	case *parser.AggregateExpr:
		inner := c.walk(n.Expr, "")
		assert.Subset(c.t, inner, n.Grouping, c.where)
		if n.Without {
			return inner
		}
		return n.Grouping
	case *parser.BinaryExpr:
		left, right := c.walk(n.LHS, ""), c.walk(n.RHS, "")
		if m := n.VectorMatching; m != nil && m.On {
			assert.Subset(c.t, left, m.MatchingLabels, c.where)
			assert.Subset(c.t, right, m.MatchingLabels, c.where)
		}
		return append(left, right...)
	case *parser.Call:
		var all []string
		for _, arg := range n.Args {
			all = append(all, c.walk(arg, n.Func.Name)...)
		}
		return all
	}
	var all []string
	for child := range parser.ChildrenIter(node) {
		all = append(all, c.walk(child, within)...)
	}
	return all
}

// selector checks a metric, its labels and their values.
func (c *queryCheck) selector(s *parser.VectorSelector, within string) []string {
	known := slices.Clone(scraped)
	if s.Name == "up" || strings.HasPrefix(s.Name, "go_") || strings.HasPrefix(s.Name, "process_") {
		return known
	}
	name := s.Name
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(s.Name, suffix); cut && c.table[base].kind == "histogram" {
			name = base
			if suffix == "_bucket" {
				known = append(known, "le")
			}
		}
	}
	row, exported := c.table[name]
	if !assert.True(c.t, exported, "%s: nobody exports %s", c.where, name) {
		return known
	}
	c.asked[name] = true
	adds := row.kind == "counter" || row.kind == "histogram"
	assert.Equal(c.t, adds, within == "rate" || within == "increase", "%s: %s is a %s", c.where, name, row.kind)
	for label := range row.labels {
		known = append(known, label)
	}
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel || slices.Contains(scraped, m.Name) {
			continue
		}
		if !assert.Contains(c.t, row.labels, m.Name, "%s: %s", c.where, name) {
			continue
		}
		values := []string{m.Value}
		if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
			values = strings.Split(m.Value, "|")
		}
		for _, value := range values {
			if strings.HasSuffix(value, "..") { // such as 5..
				value = value[:1] + "00"
			}
			assert.Regexp(c.t, row.labels[m.Name], value, "%s: %s{%s}", c.where, name, m.Name)
		}
	}
	return known
}
