package spendapi

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

func TestGetSpendIsForItsPlayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spend := b.accept(t, post(buy("extra_life", 1, "k")))
	want := b.do(t, get("/spends/01980000-0000-7000-8000-ffffffffffff"))
	requireProblem(t, want, NotFound)
	for _, r := range []request{
		get("/spends/" + spend.ID).as("another"), get("/spends/x"), get("/spends/urn:uuid:" + spend.ID), get("/spends/{" + spend.ID + "}"), get("/spends/%00"),
	} {
		w := b.do(t, r)
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Equal(t, want.Body.String(), w.Body.String(), "tells nothing")
	}
	requireProblem(t, b.do(t, get("/spends/"+spend.ID).as("-")), Unauthenticated)
	w := b.do(t, request{method: http.MethodDelete, path: "/spends/" + spend.ID, header: http.Header{}})
	requireProblem(t, w, MethodNotAllowed)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

func TestInventory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	golden(t, "get_inventory_empty", b.do(t, get("/inventory")).Body.Bytes())
	for i, item := range []string{"extra_life", "bundle", "extra_life"} {
		_, err := b.db.Exec(`INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) VALUES ($1, 2, now(), $2, $3)`, b.newID(), player, item)
		require.NoError(t, err, i)
	}
	golden(t, "get_inventory", b.do(t, get("/inventory")).Body.Bytes())
}

// A spend that waits tells how long that is expected to take, once the provider's
// limit is known; one that is charged does not.
func TestGetSpendTellsHowLongItWaits(t *testing.T) {
	t.Parallel()
	known := false
	b := setup(t, func(c *Config) {
		c.ETA = func(context.Context) (time.Duration, bool) {
			return 29*time.Minute + 34*time.Second + 200*time.Millisecond, known
		}
	})
	spend := b.accept(t, post(buy("extra_life", 1, "k")))
	eta := func() any {
		var object map[string]any
		require.NoError(t, json.Unmarshal(b.do(t, get("/spends/"+spend.ID)).Body.Bytes(), &object))
		return object["eta_seconds"]
	}
	require.Nil(t, eta())
	known = true
	require.InDelta(t, 1775, eta(), 0)
	b.move(t, spend.ID, "", economy.Charged)
	require.Nil(t, eta())
}
