package spendapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// spendJSON and problemJSON are the answers as encoding/json would write them.
type spendJSON struct {
	ID         string          `json:"id"`
	State      economy.State   `json:"state"`
	Item       string          `json:"item"`
	Quantity   int64           `json:"quantity"`
	Cost       economy.Amounts `json:"cost"`
	Reason     economy.Reason  `json:"reason,omitempty"`
	AcceptedAt time.Time       `json:"accepted_at"`
	ChargedAt  time.Time       `json:"charged_at,omitzero"`
	FinishedAt time.Time       `json:"finished_at,omitzero"`
}

type grantJSON struct {
	ID          string          `json:"id"`
	Kind        economy.Kind    `json:"kind"`
	State       economy.State   `json:"state"`
	Adjustments economy.Amounts `json:"adjustments"`
	Reason      economy.Reason  `json:"reason,omitempty"`
	AcceptedAt  time.Time       `json:"accepted_at"`
	FinishedAt  time.Time       `json:"finished_at,omitzero"`
}

type problemJSON struct {
	Type     string     `json:"type"`
	Title    string     `json:"title"`
	Status   int        `json:"status"`
	Detail   string     `json:"detail"`
	Instance string     `json:"instance,omitempty"`
	Error    string     `json:"error"`
	Spend    *spendJSON `json:"spend,omitempty"`
}

func asJSON(s economy.Spend) spendJSON {
	us := func(at time.Time) time.Time { return at.UTC().Round(time.Microsecond) }
	return spendJSON{s.ID, s.State, s.Item, s.Quantity, s.Cost, s.Reason, us(s.AcceptedAt), us(s.ChargedAt), us(s.FinishedAt)}
}

func TestHandWrittenJSONIsWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("", 9*3600)
	for _, s := range []economy.Spend{
		{ID: "a", State: economy.Requested, Item: "extra_life", Quantity: 1, Cost: economy.Amounts{"GEM": 50}, AcceptedAt: start},
		{ID: "a", State: economy.Fulfilled, Item: "x", Quantity: 1 << 60, Cost: economy.Amounts{"GEM": 2e9, "A": 1, "Z_9": 0}, AcceptedAt: start, ChargedAt: start.In(tokyo).Add(499), FinishedAt: start.Add(time.Hour)},
		{ID: "a", State: economy.Declined, Reason: economy.InsufficientFunds, Item: "\"\\</script>&\u2028ä玩\x7f\n\x00", Cost: economy.Amounts{}, AcceptedAt: start.Truncate(time.Second)},
	} {
		want, err := json.Marshal(asJSON(s))
		require.NoError(t, err)
		require.Equal(t, string(want), string(appendSpend(nil, s)))

		for _, kind := range Problems {
			p := problemf(kind, "%s <%s>", s.Item, s.Cost)
			p.spend = &s
			spend := asJSON(s)
			want, err := json.Marshal(problemJSON{kind.Type(), kind.Title, kind.Status, p.detail, "/spends/" + s.ID, kind.Short, &spend})
			require.NoError(t, err)
			require.Equal(t, string(want), string(appendProblem(nil, p)))
		}
	}
}

func TestAHandWrittenGrantIsWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	us := func(at time.Time) time.Time { return at.UTC().Round(time.Microsecond) }
	for _, s := range []economy.Spend{
		{ID: "a", State: economy.Requested, Cost: economy.Amounts{"GEM": 50}, AcceptedAt: start, Note: "ours", AppUserID: "p", IdempotencyKey: "k"},
		{ID: "a", State: economy.Declined, Reason: economy.ProviderRefused, Cost: economy.Amounts{"GEM": 2e9, "A": 1}, AcceptedAt: start, FinishedAt: start.Add(time.Hour)},
	} {
		s.Kind = economy.KindGrant
		want, err := json.Marshal(grantJSON{s.ID, "grant", s.State, s.Cost, s.Reason, us(s.AcceptedAt), us(s.FinishedAt)})
		require.NoError(t, err)
		require.Equal(t, string(want), string(appendSpend(nil, s)))
		require.Equal(t, `"grant":`+string(want), string(appendMember(nil, s)))
	}
}

func TestEveryProblemHasItsOwnType(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, kind := range Problems {
		require.False(t, seen[kind.Slug], kind.Slug)
		seen[kind.Slug] = true
		require.Regexp(t, `^[a-z]+(-[a-z]+)*$`, kind.Slug)
		require.True(t, kind.Status >= 400 && kind.Status < 600)
		require.NotEmpty(t, kind.Title)
		require.LessOrEqual(t, len(kind.Short), 60)
		require.False(t, strings.HasSuffix(kind.Title+kind.Short, "."), kind.Slug)
	}
}
