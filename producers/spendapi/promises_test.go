package spendapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestAcceptedIsDurable: PostgreSQL is killed under load, and every spend that was
// answered with 2xx is there afterwards, with the delivery that it is owed.
func TestAcceptedIsDurable(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	committer := newCommitter(t, server.DB())
	b := setupOn(t, server.DB(), committer, func(c *Config) { c.Committer = committer })
	var mu sync.Mutex
	var accepted []string
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				w := b.do(t, post(buy("extra_life", 1, fmt.Sprintf("%d-%d", client, i)), "Prefer", "respond-async"))
				if w.Code != http.StatusAccepted {
					return
				}
				var body struct{ Spend struct{ ID string } }
				err := json.Unmarshal(w.Body.Bytes(), &body)
				mu.Lock()
				if err == nil {
					accepted = append(accepted, body.Spend.ID)
				}
				mu.Unlock()
			}
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(accepted) >= 100 }, 30*time.Second, time.Millisecond)
	server.Kill()
	clients.Wait()
	server.Start()

	var durable []string
	require.NoError(t, server.DB().SelectContext(t.Context(), &durable, `SELECT s.id FROM spends s
		JOIN outbox o ON o.event_id = s.id::text || '.requested' AND o.consumer = 'adjust' WHERE s.state = 'requested'`))
	require.Subset(t, durable, accepted)
	t.Logf("%d accepted, %d durable", len(accepted), len(durable))
}

// TestTheClientNeverNamesAPriceOrAnotherPlayer: whatever a request says of them,
// in its body, address or headers, the catalogue and the session decide.
func TestTheClientNeverNamesAPriceOrAnotherPlayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, lie := range []string{
		`"price":1`, `"price":{"GEM":1}`, `"cost":{"GEM":0}`, `"cost":{"GEM":-50}`, `"currency":"COIN","amount":1`, `"catalogVersion":1`,
		`"app_user_id":"victim"`, `"appUserId":"victim"`, `"player":"victim"`, `"sub":"victim"`, `"spend":{"app_user_id":"victim","cost":{}}`,
	} {
		r := post(fmt.Sprintf(`{%s,"item":"extra_life","idempotencyKey":"k%d",%s}`, lie, i, lie),
			"X-App-User-Id", "victim", "X-Player", "victim", "Price", "1", "Cookie", "player=victim")
		r.path += "?app_user_id=victim&player=victim&price=1"
		spend := b.accept(t, r)
		require.Equal(t, economy.Amounts{"GEM": 50}, spend.Cost, lie)
		require.Equal(t, player, spend.AppUserID, lie)
		require.EqualValues(t, 7, spend.CatalogVersion, lie)

		for _, header := range []string{"X-App-User-Id", "X-Player"} { // nor reads what is another's
			w := b.do(t, get("/spends/"+spend.ID+"?app_user_id="+player).as("thief").with(header, player))
			require.Equal(t, http.StatusNotFound, w.Code, w.Body)
		}
	}
	var others int
	require.NoError(t, b.db.GetContext(t.Context(), &others, `SELECT count(*) FROM spends WHERE app_user_id <> $1 OR cost <> '{"GEM": 50}'`, player))
	require.Zero(t, others)
}
