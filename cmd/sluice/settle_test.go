package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

var pasted = regexp.MustCompile(`(?m)^  sluice (spend settle \S+ --attempt \d+ --charged) --reason '` + toFill + `'$`)

// TestAnUnknownChargeIsSettledByThePastedCommand: the answer of a charge is lost, and
// the provider says no more about its key. What the operator sees has the command that
// settles it, as of what was seen, and the story keeps what nobody answered.
func TestAnUnknownChargeIsSettledByThePastedCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.give("player", economy.Amounts{"GEM": 100})
	db := s.database()
	s.faults(`{"lose_answer":1}`)
	lost := s.spend(t, "player", "extra_life", "lost", "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, lost.code, lost)
	id := lost.Spend.ID
	adjustmentWhere(t, db, "player", "unknown_since IS NOT NULL")
	s.faults(`{"replay_conflict":1}`)
	adjustmentWhere(t, db, "player", "attempts > 1 AND last_error NOT LIKE '%no answer%'")

	code, _, log := runs(t, s.env, "spend", "settle", id, "--attempt", "1", "--not-charged", "--reason", "the export, before the provider was asked again")
	require.Equal(t, exitFailed, code)
	require.Regexp(t, "asked again since you looked.*attempt 1.*run sluice spend show "+id+"|right now", log)

	settled := func() bool {
		code, out, log := runs(t, s.env, "spend", "show", "--unknown")
		require.Zero(t, code, log)
		command := pasted.FindStringSubmatch(out)
		require.NotNil(t, command, out)
		require.Contains(t, command[1], id)
		args := strings.Fields(command[1])
		code, _, log = runs(t, s.env, append(args, "--reason", toFill)...)
		require.Equal(t, exitBadUsage, code)
		require.Contains(t, log, "say how you know")
		code, _, log = runs(t, s.env, append(args, "--reason", "row 7 of the export")...)
		if code != 0 {
			require.Regexp(t, "right now|asked again|meanwhile", log)
		}
		return code == 0
	}
	require.Eventually(t, settled, time.Minute, 5*tick, "the word always comes too late")
	s.spendAt(t, "player", "/spends/"+id, "fulfilled")
	code, out, log := runs(t, s.env, "spend", "show", id)
	require.Zero(t, code, log)
	for _, line := range []string{
		"charge bound: .* then attempt 1", "charge: an attempt went unanswered, its outcome is unknown",
		`charge applied after \d+ attempts; last heard: settled by an operator as applied: row 7 of the export`,
	} {
		require.Regexp(t, line, out)
	}
	require.NotContains(t, out, "spend settle", "nothing is left to settle")
}
