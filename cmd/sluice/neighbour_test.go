package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// lock keeps a customer busy at the provider until the returned function is
// called: every other write of it is a 423.
func (s *site) lock(t *testing.T, player string) (release func()) {
	t.Helper()
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		s.faults(`{"delay":"5m"}`)
		go func() {
			defer close(ended)
			_, _ = s.write(ctx, player) // release cuts it off
		}()
		select {
		case <-ended:
		case <-time.After(5 * tick): // the call should be in by now; if not, the next lines tell
		}
		s.faults(`{}`)
		first, _ := s.write(ctx, player) // an error is no 423
		second, _ := s.write(ctx, player)
		release = func() { cancel(); <-ended }
		if first == http.StatusLocked && second == http.StatusLocked {
			return release
		}
		release()
	}
	require.FailNow(t, "the customer cannot be locked")
	return nil
}

// write changes a customer's GOLD at the provider and returns the status.
func (s *site) write(ctx context.Context, player string) (int, error) {
	state, err := readDevState(s.folder)
	if err != nil {
		return 0, err
	}
	address := fmt.Sprintf("http://%s/v2/projects/%s/customers/%s/virtual_currencies/transactions", s.simAddr, devProject, player)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"adjustments":{"GOLD":1}}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+state.RevenueCatKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// adjustmentWhere waits for an adjustment of a player.
func adjustmentWhere(t *testing.T, db *sqlx.DB, player, condition string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var found bool
		err := db.GetContext(t.Context(), &found, "SELECT EXISTS (SELECT FROM adjustments WHERE app_user_id = $1 AND "+condition+")", player)
		return err == nil && found
	}, time.Minute, tick, "%s has no adjustment where %s", player, condition)
}

// TestOnePlayersTroubleHoldsUpNobodyElse: while the provider keeps one customer
// locked, another player's spends recover from a hiccup in the middle of them as
// fast as if they were alone.
func TestOnePlayersTroubleHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	db := s.database()
	s.give("stuck", economy.Amounts{"GEM": 1000})
	s.give("neighbour", economy.Amounts{"GEM": 1000})
	release := s.lock(t, "stuck")
	stuck := s.spend(t, "stuck", "extra_life", "k", "Prefer", "respond-async")
	adjustmentWhere(t, db, "stuck", "attempts > 3")

	s.faults(`{"delay":"2s"}`)
	var neighbours []string
	for _, key := range []string{"first", "second", "third"} { // while the first is in a call, the others come and go
		neighbours = append(neighbours, s.spend(t, "neighbour", "extra_life", key, "Prefer", "respond-async").header.Get("Location"))
	}
	adjustmentWhere(t, db, "neighbour", "state = 'open'")
	s.faults(`{"fail_before":1}`)
	adjustmentWhere(t, db, "neighbour", "state = 'applied'")
	adjustmentWhere(t, db, "neighbour", "state = 'open' AND last_error <> ''")
	s.faults(`{}`)
	well := time.Now()
	for _, location := range neighbours {
		s.spendAt(t, "neighbour", location, "fulfilled")
	}
	t.Logf("recovered after %s", time.Since(well))
	require.Less(t, time.Since(well), 15*time.Second)
	require.Contains(t, s.get(t, "stuck", "/spends/"+stuck.Spend.ID).raw, `"requested"`, "it was not in trouble: this tests nothing")
	release()
	s.spendAt(t, "stuck", "/spends/"+stuck.Spend.ID, "fulfilled")
}
