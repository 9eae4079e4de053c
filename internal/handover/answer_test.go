package handover

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is not certain is no answer: a mistake here hands out an item for free, or
// keeps a player's gems.
func TestOnlyACertainAnswerIsOne(t *testing.T) {
	t.Parallel()
	says := func(state string) string { return fmt.Sprintf(`{"spend_id":%q,"state":%q}`, sword.ID, state) }
	states := []string{"granted", "refused", "revoked", "none", "GRANTED", "failed", "later", ""}
	for op, allowed := range map[Operation][]string{
		OpGrant: {"granted", "refused", "revoked"}, OpCheck: {"granted", "revoked", "none"}, OpRevoke: {"revoked", "granted"},
	} {
		for _, state := range states {
			want := Failed
			for _, word := range allowed {
				if state == word {
					want = Kind(state)
				}
			}
			got := classify(newRequest(op, sword), reply{status: http.StatusOK, body: []byte(says(state))})
			require.Equal(t, want, got.Kind, "%s answered %q", op, state)
		}
	}
	for _, c := range []struct {
		name   string
		reply  reply
		want   Kind
		detail string
	}{
		{"no answer", reply{detail: "no answer within 5s"}, Failed, "no answer within 5s"},
		{"the caller gave up", reply{detail: "gave up", gaveUp: true}, Later, "gave up"},
		{"created", reply{status: 201, body: []byte(says("granted"))}, Failed, "answered 201, which is not 200"},
		{"a redirect", reply{status: 307, body: []byte(says("granted"))}, Failed, "answered 307, which is not 200"},
		{"not found", reply{status: 404, body: []byte(says("refused"))}, Failed, "answered 404, which is not 200"},
		{"broken off", reply{status: 200, body: []byte(says("granted")), detail: "its body broke off"}, Failed, "answered 200, and its body broke off"},
		{"a page", reply{status: 200, body: []byte("<html>ok</html>")}, Failed, "answered 200 without the JSON of an answer"},
		{"nothing", reply{status: 200}, Failed, "answered 200 without the JSON of an answer"},
		{"twice", reply{status: 200, body: []byte(says("granted") + says("granted"))}, Failed, "answered 200 without the JSON of an answer"},
		{"another spend", reply{status: 200, body: []byte(`{"spend_id":"x","state":"granted"}`)}, Failed, "answered about another spend_id, or none"},
		{"no spend", reply{status: 200, body: []byte(`{"state":"granted"}`)}, Failed, "answered about another spend_id, or none"},
		{"another player", reply{status: 200, body: []byte(with(`"app_user_id":"p"`))}, Failed, "answered about another app_user_id"},
		{"another item", reply{status: 200, body: []byte(with(`"item":"shield"`))}, Failed, "answered about another item"},
		{"another quantity", reply{status: 200, body: []byte(with(`"quantity":4`))}, Failed, "answered with a quantity of 4, not 2"},
		{"all of it, and more", reply{status: 200, body: []byte(with(`"app_user_id":"player_7","item":"sword","quantity":2,"x":[1]`))}, Granted, ""},
	} {
		got := classify(newRequest(OpGrant, sword), c.reply)
		require.Equal(t, c.want, got.Kind, c.name)
		require.Equal(t, c.detail, got.Detail, c.name)
	}
}

func with(members string) string {
	return fmt.Sprintf(`{"spend_id":%q,"state":"granted",%s}`, sword.ID, members)
}

func TestTheGamesWordsAreShownWithoutThePlayer(t *testing.T) {
	t.Parallel()
	got := classify(newRequest(OpGrant, sword), reply{status: 200, body: []byte(
		`{"spend_id":"` + sword.ID + `","state":"refused","reason":"player_7\nhas no room \u0000"}`)})
	require.Equal(t, Outcome{Kind: Refused, Status: 200, Reason: "*** has no room"}, got)
	require.Len(t, []rune(shown(strings.Repeat("ü", 500), "")), reasonMax+1)
}

func TestRetryAfterIsHeardAndBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "0": 0, "NaN": 0, "7": 7 * time.Second, "1.5": 1500 * time.Millisecond, "1e99": pauseMax, "+Inf": pauseMax,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0, "Fri, 01 Jan 2027 00:00:00 GMT": pauseMax,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
}
