package console_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPauseMayEndByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.enter(operatorKey)
	require.Equal(t, http.StatusBadRequest, p.send("/console/pauses/pause", "scope", "item", "name", "sword", "for", "soon").status)
	require.Equal(t, http.StatusSeeOther, p.send("/console/pauses/pause", "scope", "item", "name", "sword", "for", "15m").status)
	require.Equal(t, 1, h.count("SELECT count(*) FROM pauses WHERE until BETWEEN now() + interval '14 min' AND now() + interval '16 min'"))
	require.NotContains(t, p.page("/console/pauses"), `>somebody resumes</span>`)
}

// A refund that an operator began is given up from the spend's page, until the game's
// server was asked for the item.
func TestARefundIsGivenUpFromThePageOfItsSpend(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.enter(operatorKey)
	refunding := func() string {
		id := h.spend("ann", "sword", "fulfilled", time.Now())
		_, err := h.db.Exec("UPDATE spends SET state = 'refunding', left_state = 'fulfilled', reason = 'operator_refund', finished_at = NULL WHERE id = $1", id)
		require.NoError(t, err)
		require.Contains(t, p.page("/console/spends/"+id), "/refund-give-up")
		return id
	}
	id := refunding()
	require.Equal(t, http.StatusSeeOther, p.send("/console/spends/"+id+"/refund-give-up").status)
	page := p.page("/console/spends/" + id)
	require.Contains(t, page, "Refund given up, the item stays")
	require.NotContains(t, page, "/refund-give-up")
	id = refunding()
	_, err := h.db.Exec("UPDATE spends SET revoke_asked_at = now() WHERE id = $1", id)
	require.NoError(t, err)
	answer := p.send("/console/spends/" + id + "/refund-give-up")
	require.Equal(t, http.StatusConflict, answer.status)
	require.Contains(t, answer.body, "sluice handover settle "+id+" --granted")
}

func TestADeadLetterLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key := h.deadLetter(h.spend("ann", "sword", "requested", time.Now()), "ann", "boom")
	_, err := h.db.Exec(`UPDATE dead_letters SET headers = '{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'`)
	require.NoError(t, err)
	require.Contains(t, h.enter(viewerKey).page("/console/deadletters/show?event="+key.EventID+"&consumer="+key.Consumer),
		`<a href="https://traces.example.com/4bf92f3577b34da6a3ce929d0e0e4736" rel="noreferrer">`)
}
