package gemstore

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

var begun = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const spendID = "01980000-0000-7000-8000-000000000001"

func at(after time.Duration) time.Time { return begun.Add(after) }

func ptr(t time.Time) *time.Time { return &t }

// storyAt is a spend of 50 GEM in a state.
func storyAt(state economy.State, more func(*books.Story)) books.Story {
	s := books.Story{Spend: economy.Spend{
		ID: spendID, Item: "extra_life", Quantity: 1, Cost: economy.Amounts{"GEM": 50}, State: state, AcceptedAt: begun,
	}}
	if state != economy.Requested && state != economy.Declined {
		s.Spend.ChargedAt = at(20 * time.Millisecond)
		s.Adjustments = []books.StoryAdjustment{{Purpose: "charge", Attempts: 1, SettledAt: ptr(s.Spend.ChargedAt)}}
	}
	if state.Final() {
		s.Spend.FinishedAt = at(30 * time.Millisecond)
	}
	if more != nil {
		more(&s)
	}
	return s
}

// TestTheLampsSayWhereASpendIs: for everything that can be written down of a spend,
// which lamp burns how.
func TestTheLampsSayWhereASpendIs(t *testing.T) {
	t.Parallel()
	open := func(a books.StoryAdjustment) func(*books.Story) {
		return func(s *books.Story) { a.Purpose = "charge"; s.Adjustments = []books.StoryAdjustment{a} }
	}
	owed := func(event string, attempts int64, why string) func(*books.Story) {
		return func(s *books.Story) {
			s.Owed = []books.StoryDelivery{{EventID: spendID + event, Attempts: attempts, LastError: why, At: at(12 * time.Second)}}
		}
	}
	seen := func(string) (time.Time, time.Time, int) { return at(5 * time.Millisecond), at(5 * time.Millisecond), 1 }
	unseen := func(string) (first, last time.Time, times int) { return first, last, 0 }
	soon, later := at(100*time.Millisecond), at(2*time.Second)
	for name, c := range map[string]struct {
		story books.Story
		Passing
		now    time.Time
		lights string // of the hops, by first letter
		says   string // somewhere in the texts
	}{
		"accepted":                {storyAt(economy.Requested, nil), Passing{Seen: unseen}, soon, "dw...", "travels"},
		"not on the stream":       {storyAt(economy.Requested, nil), Passing{Seen: unseen}, later, "dW...", ""},
		"on the stream":           {storyAt(economy.Requested, nil), Passing{Seen: seen}, soon, "ddw..", "binds it to one key"},
		"wiped":                   {storyAt(economy.Requested, nil), Passing{Seen: seen, Wiped: at(50 * time.Millisecond)}, soon, "dW...", "publishes it again"},
		"wiped before":            {storyAt(economy.Requested, nil), Passing{Seen: seen, Wiped: at(-time.Second)}, soon, "ddw..", ""},
		"behind another":          {storyAt(economy.Requested, nil), Passing{Seen: seen, Behind: true}, later, "ddW..", "in the order of the taps"},
		"asking":                  {storyAt(economy.Requested, open(books.StoryAdjustment{Attempts: 1, LeasedUntil: ptr(at(time.Minute))})), Passing{Seen: seen}, soon, "ddw..", "being asked"},
		"failed once":             {storyAt(economy.Requested, open(books.StoryAdjustment{Attempts: 1})), Passing{Seen: seen}, later, "ddW..", "same request goes out again"},
		"answer lost":             {storyAt(economy.Requested, open(books.StoryAdjustment{Attempts: 2, UnknownSince: &soon})), Passing{Seen: seen}, later, "ddW..", "cannot charge twice"},
		"provider down":           {storyAt(economy.Requested, owed(".requested", 3, "x: not sent, the provider is down")), Passing{Seen: seen}, later, "ddW..", "Next attempt in 10.0 s"},
		"declined":                {storyAt(economy.Declined, func(s *books.Story) { s.Spend.Reason = economy.InsufficientFunds }), Passing{Seen: seen}, later, "ddR..", "do not have enough"},
		"charged":                 {storyAt(economy.Charged, nil), Passing{Seen: seen}, soon, "dddw.", "handed over"},
		"the game does not speak": {storyAt(economy.Charged, owed(".charged", 2, "no answer")), Passing{Seen: seen}, later, "dddW.", "the gems go back"},
		"charged, then wiped":     {storyAt(economy.Charged, nil), Passing{Seen: seen, Wiped: at(50 * time.Millisecond)}, soon, "dddW.", "publishes it again"},
		"fulfilled":               {storyAt(economy.Fulfilled, nil), Passing{Seen: unseen}, later, "ddddd", "30 ms after the tap"},
		"refunding":               {storyAt(economy.Refunding, nil), Passing{Seen: seen}, soon, "dddRw", "never made twice"},
		"refunded":                {storyAt(economy.Refunded, nil), Passing{Seen: seen}, later, "dddRd", "went back"},
	} {
		j := SpendJourney(c.story, economy.Item{Name: "Extra life"}, c.Passing, c.now)
		lights := ""
		for _, hop := range j.Hops {
			lights += map[Light]string{Dark: ".", Working: "w", Waiting: "W", Done: "d", Refused: "R"}[hop.Light]
		}
		require.Equal(t, c.lights, lights, name)
		require.Contains(t, strings.Join([]string{j.Happened, j.Now, j.Next}, " "), c.says, name)
		for what, text := range map[string]string{"happened": j.Happened, "now": j.Now, "next": j.Next} {
			require.NotEmpty(t, text, "%s: %s", name, what)
		}
		require.Equal(t, c.story.Spend.State.Final(), j.Over, name)
	}
}

func TestAPurchaseIsFollowedToTheWallet(t *testing.T) {
	t.Parallel()
	b := bought{id: "t1", title: "gems_100", brings: economy.Amounts{"GEM": 100}, at: begun}
	seen := func(string) (time.Time, time.Time, int) { return at(5 * time.Millisecond), at(5 * time.Millisecond), 1 }
	unseen := func(string) (first, last time.Time, times int) { return first, last, 0 }
	for name, c := range map[string]struct {
		told
		Passing
		lights string
	}{
		"paid":           {told{}, Passing{Seen: unseen}, "dw..."},
		"webhook stored": {told{webhook: "w", receivedAt: at(1)}, Passing{Seen: unseen}, "ddw.."},
		"on the stream":  {told{webhook: "w", receivedAt: at(1)}, Passing{Seen: seen}, "dddw."},
		"wiped":          {told{webhook: "w", receivedAt: at(1)}, Passing{Seen: seen, Wiped: at(time.Second)}, "ddW.."},
		"tried again":    {told{webhook: "w", receivedAt: at(1), attempts: 2}, Passing{Seen: seen}, "dddW."},
		"in the ledger":  {told{webhook: "w", receivedAt: at(10), enteredAt: at(20), readAt: at(5)}, Passing{Seen: seen}, "ddddw"},
		"in the wallet":  {told{webhook: "w", receivedAt: at(10), enteredAt: at(20), readAt: at(30)}, Passing{Seen: unseen}, "ddddd"},

		"lost":                {told{readAt: at(1)}, Passing{Seen: unseen}, "dRw.."},
		"lost and claimed":    {told{claimedAt: at(5), readAt: at(1)}, Passing{Seen: unseen}, "dRdW."},
		"lost, and read":      {told{claimedAt: at(5), recordedAt: at(9), readAt: at(1)}, Passing{Seen: unseen}, "dRddw"},
		"lost, in the wallet": {told{claimedAt: at(5), recordedAt: at(9), readAt: at(8)}, Passing{Seen: unseen}, "dRddd"},
	} {
		b.lost = strings.HasPrefix(name, "lost")
		j := purchaseJourney(b, c.told, c.Passing)
		lights := ""
		for _, hop := range j.Hops {
			lights += map[Light]string{Dark: ".", Working: "w", Waiting: "W", Done: "d", Refused: "R"}[hop.Light]
		}
		require.Equal(t, c.lights, lights, name)
		require.Equal(t, strings.HasSuffix(c.lights, "ddd"), j.Over, name)
	}
}
