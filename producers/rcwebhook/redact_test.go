package rcwebhook

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

func TestRedactionTakesTheValuesAndLeavesEveryOtherByte(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ body, names, want string }{
		{`{"event":{"subscriber_attributes": { "$email" : {"value":"a@b","updated_at_ms":1} , "level":{"value":"7"}}, "x" :1}}`, "$email",
			`{"event":{"subscriber_attributes": { "$email" : "[redacted]" , "level":{"value":"7"}}, "x" :1}}`},
		{`{"event":{"subscriber_attributes":{"$email":"flat","n":[1,2]}}} `, "*", `{"event":{"subscriber_attributes":{"$email":"[redacted]","n":"[redacted]"}}} `},
		{`{"subscriber_attributes":{"a":1},"b":{"subscriber_attributes":{"a":{}}}}`, "a", `{"subscriber_attributes":{"a":"[redacted]"},"b":{"subscriber_attributes":{"a":"[redacted]"}}}`},
		{`{"$email":"not an attribute","list":[{"$email":1}]}`, "$email", `{"$email":"not an attribute","list":[{"$email":1}]}`},
		{`{"subscriber_attributes":[{"a":1}]}`, "a", `{"subscriber_attributes":[{"a":1}]}`},
		{`{"subscriber_attributes":{"a":1}}`, "", `{"subscriber_attributes":{"a":1}}`},
		{`{"subscriber_attributes":{"a":1`, "a", `{"subscriber_attributes":{"a":1`}, // no JSON: as it came
		{strings.Repeat("[", 1<<20), "a", strings.Repeat("[", 1<<20)},
		{`{"subscriber\u005fattributes":{"\u0061":1}}`, "a", `{"subscriber\u005fattributes":{"\u0061":"[redacted]"}}`},
	} {
		var names []string
		if test.names != "" {
			names = []string{test.names}
		}
		require.Equal(t, test.want, string(redact([]byte(test.body), names)))
	}
}

func TestARedactedBodySaysTheSameFacts(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Redact = []string{"*"} })
	for name, body := range samples(t) {
		before, err := webhooks.Parse(body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, b.do(t, webhook(body)).Code, "the signature is that of the body as it came")
		var kept []byte
		require.NoError(t, b.db.Get(&kept, "SELECT body FROM webhook_events WHERE event_key = $1", before.ID))
		require.True(t, json.Valid(kept))
		require.NotContains(t, string(kept), "someone@example.com", name)
		require.Equal(t, strings.Contains(string(body), "someone@example.com"), strings.Contains(string(kept), "[redacted]"), name)
		after, err := webhooks.Parse(kept)
		require.NoError(t, err)
		said, err := before.Facts()
		require.NoError(t, err)
		says, err := after.Facts()
		require.NoError(t, err)
		require.Equal(t, said, says, name)
	}
}
