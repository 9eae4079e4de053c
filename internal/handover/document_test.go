package handover

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func document(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/handover.md")
	require.NoError(t, err)
	return string(raw)
}

// The worked example is a request as we send it, and its signature is computed here by
// nothing but what the document says.
func TestTheWorkedExampleOfTheDocumentIsTrue(t *testing.T) {
	t.Parallel()
	text := document(t)
	value := func(name string) string {
		match := regexp.MustCompile(`(?m)^` + name + `='(.*)'$`).FindStringSubmatch(text)
		require.NotNil(t, match, name)
		return match[1]
	}
	secret, id, timestamp, body := value("SECRET"), value("ID"), value("TIMESTAMP"), value("BODY")
	k, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(id + "." + timestamp + "." + body))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	require.Contains(t, text, "# "+signature+"\n")

	r := newRequest(OpGrant, sword)
	require.Equal(t, id, r.id())
	require.Equal(t, body, string(r.body()))
	parsed, err := parseSecret(secret)
	require.NoError(t, err)
	require.Equal(t, "v1,"+signature, parsed.signature(id, time.Unix(1767323046, 0), []byte(body)))
	for _, line := range []string{"webhook-id: " + id, "webhook-timestamp: " + timestamp, "webhook-signature: v1," + signature, "\n\n" + body} {
		require.Contains(t, text, line+"\n", "the request that is shown")
	}
}

// Every answer in the document's table is one that we take for what the table says.
func TestTheAnswersOfTheDocumentAreUnderstood(t *testing.T) {
	t.Parallel()
	seen := map[Operation]map[Kind]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (grant|check|revoke) \\| `(\\{.*?\\})` \\|").FindAllStringSubmatch(document(t), -1) {
		op := Operation(row[1])
		got := classify(newRequest(op, sword), reply{status: 200, body: []byte(row[2])})
		require.True(t, got.definite(), "%s: %s", row[0], got.Detail)
		require.Contains(t, row[2], `"state":"`+string(got.Kind)+`"`)
		if seen[op] == nil {
			seen[op] = map[Kind]bool{}
		}
		seen[op][got.Kind] = true
	}
	for op, kinds := range words {
		require.Len(t, seen[op], len(kinds), "answers to a %s", op)
	}
}

// The numbers in the document are those of the code.
func TestTheNumbersOfTheDocumentAreTrue(t *testing.T) {
	t.Parallel()
	text := document(t)
	require.Equal(t, 5*time.Second, TimeoutDefault)
	require.Equal(t, 64<<10, answerMax)
	require.Equal(t, 200, reasonMax)
	require.Equal(t, 10*time.Minute, pauseMax)
	require.Equal(t, 10, runMax)
	require.Equal(t, []time.Duration{time.Second, 15 * time.Second}, []time.Duration{openFirst, openMax})
	require.Equal(t, 16, SlotsDefault)
	for _, said := range []string{
		"(5 s unless configured, at most 10 s)", "at most 64 KiB", "(200 characters are kept)", "at most 10 minutes", "After ten failures in a row",
		"one request every 1 to 15 s", "(16 per process at most,", "`" + TestPlayer + "`", "`" + TestItem + "`", "begin\nwith `" + testIDStart + "`",
	} {
		require.Contains(t, text, said)
	}
}
