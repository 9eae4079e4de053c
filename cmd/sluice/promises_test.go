package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/outbox"
)

// TestReplaysAreHarmless: the same request, the same event and the same message,
// many times and at once, change the world once. Events that a spend never had are
// among them.
func TestReplaysAreHarmless(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	db := s.database()
	start := map[string]economy.Amounts{"player": {"GEM": 500}}
	s.give("player", start["player"])
	answers := map[string]int{
		"extra_life": http.StatusOK, "cursed_relic": http.StatusInternalServerError, "legendary_skin": http.StatusPaymentRequired,
	}
	ask := func(wantReplayed bool) {
		var clients sync.WaitGroup
		for item, code := range answers {
			for range 10 {
				clients.Go(func() {
					r, err := s.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":%q,"idempotencyKey":%q}`, item, item), as(t, "player", "Prefer", "wait=30")...)
					if assert.NoError(t, err) && assert.Contains(t, []int{code, http.StatusAccepted}, r.code, r) && wantReplayed {
						assert.Equal(t, code, r.code, r)
						assert.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
					}
				})
			}
		}
		clients.Wait()
	}
	ask(false)
	awaitRest(t, db, time.Minute)
	before := s.requireExact(t, db, start)
	require.Len(t, before, len(answers))

	state, err := readDevState(s.folder)
	require.NoError(t, err)
	conn, err := broker.Connect(t.Context(), broker.Config{URL: state.NATSURL, Name: "replay", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	var stored sync.WaitGroup
	for _, spend := range before {
		for _, event := range []events.Event{
			events.NewSpendRequested(spend.ID, "player", time.Now()), events.NewSpendCharged(spend.ID, "player", time.Now()),
			events.NewSpendRefunding(spend.ID, "player", time.Now()),
		} {
			payload, err := event.Encode()
			require.NoError(t, err)
			for i := range 20 {
				id, header := event.ID, map[string]string(nil) // the same message: the broker may know it
				if i%2 == 0 {                                  // the same event in another message: only the guard does
					id, header = fmt.Sprintf("%s.replay%d", event.ID, i), map[string]string{outbox.HeaderEventID: event.ID}
				}
				stored.Add(1)
				conn.Publish(event.Subject(), id, payload, header, func(err error) {
					assert.NoError(t, err)
					stored.Done()
				})
			}
		}
	}
	stored.Wait()
	require.Eventually(t, func() bool {
		for _, spec := range specs {
			if _, unfinished, err := conn.OldestUnfinished(t.Context(), spec.Name, events.Live); err != nil || unfinished {
				return false
			}
		}
		return true
	}, time.Minute, 5*tick, "the replayed messages are not finished")
	awaitRest(t, db, time.Minute)
	require.Equal(t, before, s.requireExact(t, db, start))
	ask(true)
	require.Equal(t, before, s.requireExact(t, db, start))
}
