package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// verifies: the conformance command finds nothing wrong with a game as it should be,
// and says what is wrong with another.
func verifies(t *testing.T, s *site) {
	t.Helper()
	strange, more := games(t, "strange")
	code, out, log := runs(t, s.env, "handover", "verify", "honest")
	require.Zero(t, code, out+log)
	require.NotContains(t, out, "FAIL")
	require.Regexp(t, `(?m)^ok +a late grant after a revoke is refused$`, out)

	strange["strange"].SetFaults(samplegame.Faults{ForgetRevoked: true})
	secret := filepath.Join(t.TempDir(), "secret")
	_, value, _ := strings.Cut(more[1], "strange=")
	require.NoError(t, os.WriteFile(secret, []byte(value+"\n"), 0o600))
	code, out, log = runs(t, nil, "handover", "verify", strange["strange"].url, "--secret-file", secret)
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `(?m)^FAIL +a late grant after a revoke is refused$`, out)
	require.Contains(t, out, "do:  keep revoked spends")
	require.Contains(t, log, "checks failed")
	code, out, _ = runs(t, nil, "handover", "verify", strange["strange"].url, "--secret-file", secret, "--json")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, `"ok": false`)

	for _, args := range [][]string{{strange["strange"].url}, {"nobody"}, {"honest", "--timeout", "0s"}, {"http://h", "--secret-file", "/none"}} {
		code, _, log := runs(t, s.env, append([]string{"handover", "verify"}, args...)...)
		require.Equal(t, exitBadUsage, code, "%v: %s", args, log)
	}
}

// TestTheDocumentsWaitsAreTheDefaults: what docs/handover.md says of times and numbers
// that settings and consumers decide.
func TestTheDocumentsWaitsAreTheDefaults(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/handover.md")
	require.NoError(t, err)
	text, is := strings.Join(strings.Fields(string(raw)), " "), config.Default().HandOver
	for said, so := range map[string]bool{
		"it comes again: after 0.1 s, then twice as long each time, up to 10 s": consumers.RetryMinDefault == 100*time.Millisecond && consumers.RetryMaxDefault == 10*time.Second,
		"for 15 minutes after the charge":                                       is.Patience == 15*time.Minute,
		"within the timeout (5 s unless configured, at most 10 s)":              is.Timeout == 5*time.Second,
		"(16 per process at most, unless configured)":                           is.Concurrency == 16,
	} {
		require.Contains(t, text, said)
		require.True(t, so, said)
	}
	require.Zero(t, fulfil.Spec.Retry, "it has waits of its own")
	require.Zero(t, compensate.Spec.Retry, "it has waits of its own")
}
