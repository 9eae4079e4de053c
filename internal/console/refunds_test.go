package console_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/console"
)

// Who asked for a large refund does not approve it: not by another name, and another
// key has to come with another name.
func TestASecondPersonHasAnotherKeyAndAnotherName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.desk.Alone = economy.Amounts{"GEM": 10}
	h.config.Keys = append(h.config.Keys, console.Key{Role: console.Operator, Key: "key-of-a-second-operator"})
	h.Console, h.url = h.serve(h.config)
	as := func(name, key string) *person {
		p := h.visitor()
		require.Equal(t, http.StatusSeeOther, p.logIn(name, key).status)
		return p
	}
	anna := as("Anna", operatorKey)
	for decision, want := range map[string]string{"approve": "refunding", "refuse": "fulfilled"} {
		spend := h.spend("ann", "sword", "fulfilled", time.Now())
		require.Contains(t, anna.page(anna.send("/console/spends/"+spend+"/refund").header.Get("Location")), "A second person, with another key")
		var request string
		require.NoError(t, h.db.Get(&request, "SELECT id FROM refund_requests WHERE spend_id = $1", spend))
		require.Contains(t, anna.page("/console/refunds"), request)
		for _, same := range []*person{anna, as("Berta", operatorKey), as("anna", "key-of-a-second-operator")} {
			answer := same.send("/console/refunds/" + request + "/approve")
			require.Equal(t, http.StatusConflict, answer.status)
			require.Contains(t, answer.body, "another person must approve it")
		}
		require.Equal(t, http.StatusSeeOther, as("Berta", "key-of-a-second-operator").send("/console/refunds/"+request+"/"+decision).status)
		require.Equal(t, 1, h.count("SELECT count(*) FROM spends WHERE id = $1 AND state = $2", spend, want))
		require.NotContains(t, anna.page("/console/refunds"), request)
		require.Equal(t, 2, h.count("SELECT count(*) FROM operator_acts WHERE subject = $1", spend))
	}
}
