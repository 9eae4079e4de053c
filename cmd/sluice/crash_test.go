package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestFiveKillsUnderLoad: players press on with stable keys while the whole of
// `sluice dev`, its database and its broker, is killed five times. Every key gets
// an answer in the end, every spend that was accepted exists and ends, once.
func TestFiveKillsUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	taps, start := s.crowd(20, 24)
	const faults = `{"lose_answer":0.1,"delay":"5ms","jitter":"20ms"}`
	s.faults(faults)
	const kills = 5
	p, wait := s.startPressing(t, taps, 12, "wait=1")
	for i := range int64(kills) {
		reached := (i + 1) * int64(len(taps)) / (kills + 1)
		require.Eventually(t, func() bool { return p.answered.Load() >= reached }, 2*time.Minute, tick)
		s.kill()
		s.up()
		s.faults(faults)
	}
	require.Less(t, p.answered.Load(), int64(len(taps)), "the last kill came after the load")
	wait()
	require.Empty(t, p.strange)
	require.Positive(t, p.broken.Load(), "no request met a dead server: this tests nothing")
	t.Logf("%d requests had no answer", p.broken.Load())

	db := s.database()
	awaitRest(t, db, 2*time.Minute)
	spends := s.requireExact(t, db, start)
	require.Len(t, spends, len(taps), "one spend per key")
	stored := map[tap]spendRow{}
	for _, row := range spends {
		stored[tap{row.AppUserID, row.Item, row.Key}] = row
	}
	require.Len(t, p.spends, len(taps), "every key has an answer")
	for pressed, told := range p.spends {
		assert.Equal(t, stored[pressed].ID, told.ID, "the answer to %v", pressed)
		if economy.State(told.State).Final() {
			assert.Equal(t, stored[pressed].State, told.State, "a final answer to %v", pressed)
		}
	}
}

// TestStreamDeletedWithSpendsInFlight: while every player's first spend is in a
// call at the provider and more wait behind it, all of Sluice is killed and the
// broker's store removed. The outbox brings everything to its end within a minute
// of the restart.
func TestStreamDeletedWithSpendsInFlight(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	taps, start := s.crowd(20, 5)
	s.faults(`{"delay":"5m"}`)
	p := s.pressAll(t, taps, 12, "respond-async")
	require.Len(t, p.spends, len(taps))
	db := s.database()
	require.Eventually(t, func() bool {
		var open int
		err := db.GetContext(t.Context(), &open, "SELECT count(*) FROM adjustments WHERE state = 'open'")
		return err == nil && open == len(start)
	}, time.Minute, tick, "not every player's spend is in flight")
	s.kill()
	require.DirExists(t, filepath.Join(s.folder, "nats", "jetstream"))
	require.NoError(t, os.RemoveAll(filepath.Join(s.folder, "nats")))

	restarted := time.Now()
	s.up()
	again := s.database()
	awaitRest(t, again, time.Minute-time.Since(restarted))
	require.Len(t, s.requireExact(t, again, start), len(taps))
}

// TestSecondDevOnTheSameFolderIsRefused: it says why, and the first one serves on.
func TestSecondDevOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	env := append([]string{"SLUICE_HTTP_ADDR=" + freeAddr(t)}, "SLUICE_DATA_DIR="+s.folder)
	code, out, log := runs(t, env, "dev", "--simulator-addr", freeAddr(t))
	require.Equal(t, exitFailed, code, log)
	require.Empty(t, out)
	require.Contains(t, log, fmt.Sprintf("another sluice dev runs on %s", s.folder))

	s.give("first", economy.Amounts{"GEM": 50})
	r := s.spend(t, "first", "extra_life", "k")
	require.Equal(t, http.StatusOK, r.code, r)
}
