package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCommandsOfTheRunbookExist: what docs/operations.md tells an engineer to type is
// what the program takes, command and flags.
func TestCommandsOfTheRunbookExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	parser, err := kong.New(&commands{}, vars)
	require.NoError(t, err)
	typed := regexp.MustCompile("`sluice ([a-z][^`]*)`|(?m)^sluice ([^#\n]*)").FindAllStringSubmatch(string(raw), -1)
	require.Greater(t, len(typed), 30)
	for _, command := range typed {
		line := command[1] + command[2]
		node := parser.Model.Node
		for word := range strings.FieldsSeq(line) {
			name, isFlag := strings.CutPrefix(word, "--")
			child := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word })
			switch {
			case isFlag:
				assert.True(t, slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == name }), "sluice %s: there is no --%s", line, name)
			case child >= 0:
				node = node.Children[child]
			}
		}
		assert.NotEqual(t, parser.Model.Node, node, "sluice %s: there is no such command", line)
		assert.Empty(t, node.Children, "sluice %s: it is only the beginning of a command", line)
	}
}
