package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatOperatorsDoIsDoneOnceAndWrittenDown walks through the acts that the browser
// does not.
func TestWhatOperatorsDoIsDoneOnceAndWrittenDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.enter(operatorKey)
	spend := h.spend("ann", "sword", "requested", time.Now())
	state := func() (text string) {
		require.NoError(t, h.db.Get(&text, "SELECT state || CASE WHEN held THEN ' held' ELSE '' END FROM spends WHERE id = $1", spend))
		return text
	}
	done := func(act string) {
		t.Helper()
		a := p.send("/console/spends/" + spend + "/" + act)
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Contains(t, p.page(a.header.Get("Location")), "Operator: spend "+act, "it is on the timeline")
	}
	done("hold")
	require.Equal(t, "requested held", state())
	done("release")
	require.Equal(t, "requested", state())
	done("cancel")
	require.Equal(t, "declined", state())
	again := p.send("/console/spends/" + spend + "/cancel")
	require.Equal(t, http.StatusConflict, again.status)
	require.Contains(t, again.body, "Nothing changed.")
	require.NotContains(t, p.page("/console/spends/"+spend), `action="/console/spends/`, "there is nothing left to do to it")
	require.Equal(t, http.StatusNotFound, p.send("/console/spends/00000000-0000-7000-8000-000000000000/cancel").status)

	require.Equal(t, http.StatusSeeOther, h.enter(supportKey).send("/console/players/note", "id", "ann", "reason", "called twice").status)
	require.Contains(t, p.page("/console/players?id=ann"), "called twice")
	require.Equal(t, http.StatusSeeOther, h.enter(supportKey).send("/console/players/resync", "id", "ann").status)
	require.Equal(t, 1, h.count("SELECT count(*) FROM outbox WHERE consumer = 'resync'"))

	var letters []string
	for player, state := range map[string]string{"a": "declined", "b": "requested", "c": "requested"} {
		letters = append(letters, h.deadLetter(h.spend(player, "sword", state, time.Now()), player, "boom "+player).String())
		if state == "declined" { // nothing waits for its letter: it may be resolved
			letters[0], letters[len(letters)-1] = letters[len(letters)-1], letters[0]
		}
	}
	preview := p.send("/console/deadletters/many", "act", "retry", "which", "all", "error", "boom")
	require.Contains(t, preview.body, "Retry 3 dead letters?")
	changed := p.send("/console/deadletters/many", "act", "retry", "which", "all", "error", "boom", "sure", "yes", "letters", "2")
	require.Contains(t, changed.body, "Retry 3 dead letters?", "there are others now than were shown")
	unseen := p.send("/console/deadletters/many", "act", "retry", "which", "all", "error", "boom", "sure", "yes")
	require.Contains(t, unseen.body, "Retry 3 dead letters?", "nobody was shown how many")
	require.Equal(t, 3, h.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL"))
	ticked := p.send("/console/deadletters/many", "act", "resolve", "which", "ticked", "letter", letters[0], "sure", "yes")
	require.Contains(t, ticked.body, "Resolved 1 dead letter")
	all := p.send("/console/deadletters/many", "act", "retry", "which", "all", "error", "boom", "sure", "yes", "letters", "2")
	require.Contains(t, all.body, "Retried 2 dead letters")
	require.Zero(t, h.count("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL"))
	require.Contains(t, p.page("/console/deadletters"), "There is no dead letter.")

	_, err := h.db.Exec(`INSERT INTO webhook_events (id, received_at, event_key, verdict, type, environment, headers, body)
		SELECT ('01a196fb-1600-7000-8000-00000000000' || n)::uuid, '2026-11-01T12:00Z', 'e' || n, 'accepted', 'RENEWAL', 'production', '{}', '{"event":{"id":"e","type":"RENEWAL","app_user_id":"ann"}}' FROM generate_series(1, 3) AS n`)
	require.NoError(t, err)
	times := []string{"from", "2026-11-01T00:00", "until", "2026-11-02T00:00", "type", "RENEWAL"}
	require.Contains(t, p.send("/console/webhooks/replay", times...).body, "Replay 3 webhooks?")
	require.Equal(t, http.StatusBadRequest, p.send("/console/webhooks/replay", "from", "soon", "until", "later").status)
	require.Contains(t, p.send("/console/webhooks/replay", append(times, "sure", "yes")...).body, "Replayed 3 webhooks")

	audit := p.page("/console/audit")
	for _, deed := range []string{"spend hold", "spend release", "spend cancel", "customer note", "customer resync", "dead letter retry", "dead letter resolve", "webhooks replay"} {
		require.Contains(t, audit, "<h3>"+deed+"</h3>")
	}
	require.Equal(t, 1, strings.Count(p.page("/console/audit?deed=spend.cancel"), "<h3>spend "))
}

// TestATimelineTellsOfFailedAttempts: those of a delivery that is still owed, too.
func TestATimelineTellsOfFailedAttempts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	spend := h.spend("ann", "sword", "charged", time.Now())
	_, err := h.db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, attempts, last_error, published_at, due_at, failures)
		VALUES ($1::text || '.charged', 'fulfil', 'live', 's', '{}', 2, 'the game is away', NULL, now() + interval '1 min',
			'[{"at":"2026-11-22T10:00:00Z","attempt":1,"error":"it took too long"},{"at":"2026-11-22T10:00:09Z","attempt":2,"error":"the game is away"}]')`, spend)
	require.NoError(t, err)
	page := h.enter(viewerKey).page("/console/spends/" + spend)
	for _, text := range []string{"Attempt 1 of fulfil failed", "it took too long", "Attempt 2 of fulfil failed", "Delivery owed to fulfil", spend + ".charged"} {
		require.Contains(t, page, text)
	}
	require.Less(t, strings.Index(page, "Attempt 1 of"), strings.Index(page, "Attempt 2 of"))
}
