package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// operates runs a command of an operator, who says why, and returns what it prints.
func (s *site) operates(command string, more ...string) string {
	s.t.Helper()
	code, out, log := runs(s.t, s.env, append(strings.Fields(command), more...)...)
	require.Zero(s.t, code, log)
	return out
}

// TestOperatorsActOnARunningSite: from the command line, over all processes, each act
// with its line in the audit.
func TestOperatorsActOnARunningSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_REFUND_ALONE=GEM=60").seed().up()
	s.give("p", economy.Amounts{"GEM": 500})
	why := []string{"--reason", "ticket 17"}

	// A paused consumer tries nothing; what waits can be cancelled, and goes on after.
	s.operates("pause consumer adjust", why...)
	// Both roles of sluice dev say that they follow.
	require.Eventually(t, func() bool { return strings.Count(s.log.String(), "paused by an operator") == 2 }, startPatience, tick)
	first := s.spend(t, "p", "extra_life", "1", "Prefer", "respond-async").Spend.ID
	second := s.spend(t, "p", "extra_life", "2", "Prefer", "respond-async").Spend.ID
	require.Contains(t, s.operates("pauses"), "adjust")
	require.Contains(t, s.operates("spend cancel "+first, why...), "declined cancelled")
	s.spendAt(t, "p", "/spends/"+second, "requested")
	s.operates("resume consumer adjust", why...)
	s.spendAt(t, "p", "/spends/"+second, "fulfilled")
	require.Equal(t, economy.Amounts{"GEM": 450}, s.balance("p"))
	var tried int
	require.NoError(t, s.database().Get(&tried, "SELECT count(*) FROM adjustments"))
	require.Equal(t, 1, tried)

	// A paused currency is refused to new spends only.
	s.operates("pause currency GEM", why...)
	tries := 0
	try := func() reply { tries++; return s.spend(t, "poor", "extra_life", fmt.Sprint(tries)) }
	require.Eventually(t, func() bool { return try().code == http.StatusForbidden }, startPatience, tick)
	requireProblem(t, try(), http.StatusForbidden, "item-paused")
	s.operates("resume currency GEM", why...)

	// A refund takes the item and gives the cost back; one above the limit waits.
	require.Equal(t, int64(1), s.inventory(t, "p")["extra_life"])
	require.Contains(t, s.operates("spend refund "+second, why...), "refunding operator_refund")
	s.spendAt(t, "p", "/spends/"+second, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 500}, s.balance("p"))
	require.Zero(t, s.inventory(t, "p")["extra_life"])
	require.Eventually(t, func() bool { return try().code == http.StatusPaymentRequired }, startPatience, tick)

	// Whoever asked may refuse, and does not approve.
	s.give("rich", economy.Amounts{"GEM": 5000})
	dear := s.spend(t, "rich", "legendary_skin", "1").Spend.ID
	asks := func() string {
		said := s.operates("spend refund "+dear, why...)
		require.Contains(t, said, "needs a second person")
		return regexp.MustCompile(`sluice spend approve (\S+)`).FindStringSubmatch(said)[1]
	}
	request := asks()
	require.Regexp(t, request+" +"+dear+" +5000 GEM .* ticket 17 +asked", s.operates("spend requests"))
	refusedCode, _, refusedLog := runs(t, s.env, "spend", "approve", request, "--by", "Somebody else", "--reason", "it is me")
	require.Equal(t, exitFailed, refusedCode)
	require.Contains(t, refusedLog, "another person must approve it")
	require.Contains(t, s.operates("spend refuse "+request, why...), request+" is refused")
	require.NotContains(t, s.operates("spend requests"), request)
	require.Regexp(t, request+".* refused", s.operates("spend requests --all"))
	request = asks()
	_, err := s.database().Exec("UPDATE refund_requests SET asked_by = 'Bob', asked_login = 'bob@elsewhere' WHERE id = $1", request)
	require.NoError(t, err)
	require.Contains(t, s.operates("spend approve "+request, why...), "refunding operator_refund")
	s.spendAt(t, "rich", "/spends/"+dear, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 5000}, s.balance("rich"))
	require.Contains(t, s.operates("acts"), "spend.refund.refuse ")

	// A dead letter is retried, dies again, and is resolved.
	code, _, log := runs(t, s.env, "resync", "..", "--wait")
	require.Equal(t, exitFailed, code, log)
	var listed struct {
		Letters []struct {
			EventID  string `json:"event_id"`
			Reason   string `json:"reason"`
			Attempts int    `json:"attempts"`
			Payload  struct{ Subject string }
		} `json:"dead_letters"`
	}
	list := func() int {
		require.NoError(t, json.Unmarshal([]byte(s.operates("deadletter list --consumer resync --json")), &listed))
		return len(listed.Letters)
	}
	require.Equal(t, 1, list())
	require.Equal(t, "permanent", listed.Letters[0].Reason)
	require.Equal(t, "..", listed.Letters[0].Payload.Subject)
	event := listed.Letters[0].EventID
	require.Contains(t, s.operates("deadletter show "+event), "not sent: the id cannot be part of an address")
	require.Contains(t, s.operates("deadletter retry --consumer resync", why...), "1 would be retried. Nothing was done")
	require.Equal(t, 1, list())
	require.Contains(t, s.operates("deadletter retry --consumer resync --yes", why...), "1 were retried.")
	require.Eventually(t, func() bool { return list() == 1 }, startPatience, 5*tick, "it dies again")
	require.Contains(t, s.operates("deadletter resolve "+event, why...), "is resolved")
	require.Zero(t, list())

	acts := s.operates("acts")
	for _, deed := range []string{
		"pause ", "resume ", "spend.hold ", "spend.cancel ", "spend.refund ", "customer.resync ", "deadletter.retry ", "deadletter.resolve ",
	} {
		require.Contains(t, acts, deed)
	}
	require.Contains(t, acts, operator())
}
