package rcwebhook

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

// Every exchange of this package is held against the description (bundle.do), and
// TestMain fails for what it promises and was never seen.

func TestTheDescriptionHasEveryProblemOfWebhooks(t *testing.T) {
	t.Parallel()
	described := contract.Problems()
	var own []string
	for _, p := range Problems() {
		require.Contains(t, described, p.Slug)
		if strings.HasPrefix(p.Slug, "webhook") {
			own = append(own, p.Slug)
		}
	}
	slices.Sort(own)
	require.Equal(t, own, slices.DeleteFunc(described, func(slug string) bool { return !strings.HasPrefix(slug, "webhook") }))
}
