package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
)

// TestDocsForOperatorsNameWhatExists: the settings and the metrics that they name are
// ones of the program.
func TestDocsForOperatorsNameWhatExists(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/deploy.md")
	require.NoError(t, err)
	more, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	raw = append(raw, more...)
	known := metricsInSource(t)
	for _, v := range config.Variables() {
		known[v.Name] = true
		if v.Secret {
			known[v.Name+"_FILE"] = true
		}
	}
	named := regexp.MustCompile(`SLUICE_[A-Z_]+|sluice_[a-z_]+`).FindAllString(string(raw), -1)
	require.Greater(t, len(named), 20)
	for _, name := range named {
		assert.True(t, known[name], "%s does not exist", name)
	}
}

// metricsInSource are the names of metrics in the code: literals that begin as all of them do.
func metricsInSource(t *testing.T) map[string]bool {
	t.Helper()
	found, literal := map[string]bool{}, regexp.MustCompile(`"(sluice_[a-z_]+)"`)
	for _, room := range []string{"cmd", "consumers", "internal", "outbox", "producers"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(path)
			for _, match := range literal.FindAllSubmatch(raw, -1) {
				found[string(match[1])] = true
			}
			return err
		})
		require.NoError(t, err)
	}
	return found
}
