package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
)

// TestReplaysAnswered409AreSettledByTheCommand: a third of the calls fails, a third
// of the answers is lost, and half of those who ask again are told 409. Then the
// provider breaks down, and when it is back it says 409 to every replay. What cannot
// be settled any more is listed, exactly, and an operator settles it by the truth.
func TestReplaysAnswered409AreSettledByTheCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	taps, start := s.crowd(24, longer(4, 40))
	db := s.database()
	s.faults(`{"fail_before":0.33,"lose_answer":0.33,"replay_conflict":0.5}`)
	p := s.pressAll(t, taps, 16, "respond-async")
	require.Empty(t, p.strange)
	require.Eventually(t, func() bool {
		var storm struct{ Final, Unknown int }
		err := db.GetContext(t.Context(), &storm, `SELECT (SELECT count(*) FROM spends WHERE state IN ('fulfilled', 'declined', 'refunded')) AS final,
			(SELECT count(*) FROM adjustments WHERE state = 'open' AND purpose = 'charge' AND unknown_since IS NOT NULL) AS unknown`)
		return err == nil && storm.Final >= len(taps)/4 && storm.Unknown >= 3
	}, longer(time.Minute, 5*time.Minute), tick, "the storm leaves nothing to settle")

	// Down: what went unanswered stays so. A charge that was not applied is settled as
	// such before the provider is back.
	s.faults(`{"brown_out":true}`)
	require.Eventually(t, func() bool {
		listed := s.unknown(t)
		for _, bound := range s.bound(t, db) {
			attempt, found := listed[bound.ID]
			if bound.State == "requested" && !bound.applied && found && s.settle(t, bound.ID, attempt, "--not-charged") {
				spend := s.spendAt(t, bound.AppUserID, "/spends/"+bound.ID, "declined")
				return spend.Reason == "cancelled"
			}
		}
		return false
	}, time.Minute, 10*tick, "no charge that was not applied can be settled")

	s.faults(`{"replay_conflict":1}`)
	byHand, deadline := 0, time.Now().Add(2*time.Minute)
	for !atRest(t, db) {
		require.True(t, time.Now().Before(deadline), "not all can be settled: %v", s.unknown(t))
		listed := s.awaitOnlyStuck(t, db)
		for id, attempt := range listed {
			if s.settle(t, id, attempt, "--charged") {
				byHand++
			}
		}
	}
	t.Logf("%d calls settled by hand as charged", byHand)
	require.Positive(t, byHand, "no replay was refused for good: this tests nothing")
	require.Len(t, s.requireExact(t, db, start), len(taps))
}

// awaitOnlyStuck waits until every call that is not settled was applied, so that
// the provider answers 409 for ever, and returns what is listed: exactly their spends.
func (s *site) awaitOnlyStuck(t *testing.T, db *sqlx.DB) (listed map[string]int64) {
	t.Helper()
	var stuck []string
	require.Eventually(t, func() bool {
		listed, stuck = s.unknown(t), nil
		for _, bound := range s.bound(t, db) {
			if !bound.applied {
				return false
			}
			stuck = append(stuck, bound.ID)
		}
		slices.Sort(stuck)
		return slices.Equal(slices.Sorted(maps.Keys(listed)), stuck)
	}, time.Minute, 5*tick, "listed: %v, stuck: %v", &listed, &stuck)
	return listed
}

// boundSpend is a spend with a call that is not settled.
type boundSpend struct {
	ID        string `db:"id"`
	AppUserID string `db:"app_user_id"`
	State     string `db:"state"`
	Key       string `db:"idempotency_key"`
	applied   bool   // the truth: the provider has a transaction under the key
}

func (s *site) bound(t *testing.T, db *sqlx.DB) (list []boundSpend) {
	t.Helper()
	require.NoError(t, db.SelectContext(t.Context(), &list, `SELECT s.id, s.app_user_id, s.state, a.idempotency_key
		FROM adjustments a JOIN spends s ON s.adjustment_id = a.id OR s.id = a.spend_id WHERE a.state IN ('open', 'unknown')`))
	for i, bound := range list {
		var customer account
		s.control(http.MethodGet, "/customers/"+bound.AppUserID, "", &customer)
		for _, transaction := range customer.Transactions {
			list[i].applied = list[i].applied || transaction.Key == bound.Key
		}
	}
	return list
}

func atRest(t *testing.T, db *sqlx.DB) bool {
	t.Helper()
	return count(t, db, "SELECT (SELECT count(*) FROM spends WHERE state IN ('requested', 'charged', 'refunding')) + (SELECT count(*) FROM outbox)") == 0
}

// unknown is what `sluice spend show --unknown` lists: the latest attempt that is
// over, by the spend's id.
func (s *site) unknown(t *testing.T) map[string]int64 {
	t.Helper()
	code, out, log := runs(t, s.env, "spend", "show", "--unknown", "--json")
	require.Zero(t, code, log)
	var list struct {
		Spends []struct {
			ID      string
			Unknown *struct{ Attempt int64 }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list), out)
	attempts := map[string]int64{}
	for _, spend := range list.Spends {
		if spend.Unknown != nil { // else it was settled between two reads
			attempts[spend.ID] = spend.Unknown.Attempt
		}
	}
	return attempts
}

// settle settles a spend by the operator's word and reports whether that was done: a
// worker may have asked again or ask right now, or the word for another spend of the
// same call has done it.
func (s *site) settle(t *testing.T, id string, attempt int64, word string) bool {
	t.Helper()
	code, _, log := runs(t, s.env, "spend", "settle", id, "--attempt", strconv.FormatInt(attempt, 10), word, "--reason", "the provider's ledger export")
	if code != 0 {
		require.Regexp(t, "nothing to settle by hand|right now|meanwhile|asked again since you looked.*run sluice spend show "+id, log)
	}
	return code == 0
}
