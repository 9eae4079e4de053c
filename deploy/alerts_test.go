package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestAlertRulesPassTheirUnitTests: promtool reads the rules, and each fires and clears
// when its tests say, with no other beside it.
func TestAlertRulesPassTheirUnitTests(t *testing.T) {
	t.Parallel()
	promtool := testenv.Prometheus(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"}, {"check", "rules", "sluice.rules.yml"}, {"test", "rules", "sluice.test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "prometheus"
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "promtool %s\n%s", strings.Join(args, " "), said)
	}
}

// rule is an alert.
type rule struct {
	Alert       string
	Labels      map[string]string
	Annotations struct {
		Summary    string
		RunbookURL string `yaml:"runbook_url"`
	}
}

func rules(t *testing.T) []rule {
	t.Helper()
	raw, err := os.ReadFile("prometheus/sluice.rules.yml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// TestEveryAlertHasItsEntry in docs/operations.md, which its link leads to and which
// says what it means, what to look at and what to do; every entry has its alert, and
// every alert its unit test.
func TestEveryAlertHasItsEntry(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	tests, err := os.ReadFile("prometheus/sluice.test.yml")
	require.NoError(t, err)
	entries := map[string]string{}
	for _, entry := range regexp.MustCompile(`(?m)^### (Sluice\w+)$`).FindAllStringSubmatchIndex(string(doc), -1) {
		text, _, _ := strings.Cut(string(doc[entry[1]:]), "\n#")
		entries[string(doc[entry[2]:entry[3]])] = text
	}
	for _, r := range rules(t) {
		entry, found := entries[r.Alert]
		assert.True(t, found, "docs/operations.md has no entry %q", r.Alert)
		delete(entries, r.Alert)
		for _, part := range []string{"**Means**", "**Look at**", "**Do**"} {
			assert.Contains(t, entry, part, r.Alert)
		}
		assert.Equal(t, "https://github.com/sluice-gems/sluice/blob/main/docs/operations.md#"+strings.ToLower(r.Alert), r.Annotations.RunbookURL)
		assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations.Summary, r.Alert)
		assert.Contains(t, string(tests), `alertname="`+r.Alert+`"`, "it has no unit test")
	}
	assert.Empty(t, entries, "entries without an alert")
}
