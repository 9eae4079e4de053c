package spendapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
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
