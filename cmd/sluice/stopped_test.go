package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// TestAStoppedConsumerIsAsFarBehindEverywhere: an operator pauses one. The command
// line, /metrics, a real Prometheus, the alert that fires, the console's page and what
// is sent to it live say how much waits for it and for how long, the same within five
// seconds. Resumed, it catches up, and the alert clears.
func TestAStoppedConsumerIsAsFarBehindEverywhere(t *testing.T) {
	t.Parallel()
	const key = "the-key-of-an-operator"
	s := newSite(t, "SLUICE_ADMIN_KEYS=viewer:"+key).seed().up()
	watch := watchedBy(t, s.apiAddr)
	s.give("player", economy.Amounts{"GEM": 1000})
	operator := func(args ...string) {
		code, _, log := runs(t, s.env, append(args, "consumer", "fulfil", "--reason", "the test")...)
		require.Zero(t, code, log)
	}
	const spends = 7
	operator("pause")
	require.Eventually(t, func() bool { return lagOf(t, s, "fulfil").Paused }, startPatience, tick)
	pass(t, 2*time.Second) // every process has heard of it
	for i := range spends {
		r := s.spend(t, "player", "extra_life", strconv.Itoa(i), "Prefer", "respond-async")
		require.Equal(t, http.StatusAccepted, r.code, r)
	}
	watch.fires("SluiceConsumerBehind")
	require.Eventually(t, func() bool { return lagOf(t, s, "fulfil").Unfinished() == spends }, startPatience, tick)

	series := `{consumer="fulfil",lane="live"}`
	var since []time.Time // when it began, by each
	saw := func(age float64) {
		since = append(since, time.Now().Add(-time.Duration(age*float64(time.Second))))
	}
	lag := lagOf(t, s, "fulfil")
	saw(time.Duration(lag.OldestAge).Seconds())
	require.EqualValues(t, spends, lag.Owed)
	r, err := s.send(http.MethodGet, "/metrics", "")
	require.NoError(t, err)
	saw(metric(r.raw, "sluice_consumer_oldest_age_seconds"+series))
	require.InDelta(t, spends, metric(r.raw, "sluice_outbox_owed_rows"+series), 0)
	saw(watch.value("sluice_consumer_oldest_age_seconds" + series))
	require.InDelta(t, spends, watch.value("sluice_outbox_owed_rows"+series), 0)
	firing, known := watch.firing()
	require.True(t, known)
	alert := firing["SluiceConsumerBehind"]
	saw(number(t, alert.Value))
	require.Equal(t, "fulfil", alert.Labels["consumer"])
	require.Contains(t, watch.rule("SluiceConsumerBehind"), "sluice_consumer_oldest_age_seconds", "what was compared is what the alert is made of")

	console := enterConsole(t, s.apiAddr, "Anna", key)
	row := consumerRow(t, console.page("/console/"), "fulfil") // consumer, lane, owed, in the broker, in hand, parked, redelivered, oldest
	saw(shownAge(t, row[7]))
	require.Equal(t, []string{"fulfil paused", strconv.Itoa(spends)}, []string{row[0], row[2]})
	moment := console.now()
	saw(moment.Point.Oldest) // nothing else is owed
	require.InDelta(t, spends, moment.Point.Owed, 0)
	row = consumerRow(t, moment.HTML, "fulfil")
	saw(shownAge(t, row[7]))
	require.Equal(t, strconv.Itoa(spends), row[2])
	for i := range since {
		assert.WithinDuration(t, since[0], since[i], 5*time.Second, "by source %d", i)
	}
	firing, known = watch.firing()
	require.True(t, known)
	require.NotContains(t, firing, "SluiceConsumerStalled", "who is paused does not stall")
	code, out, log := runs(t, s.env, "lag", "--max-age", "1s", "--max-pending", "6")
	require.Equal(t, exitAbove, code, log)
	require.Regexp(t, `(?m)^fulfil +live +.* +7 +\d+ +PAUSED$`, out)
	require.Contains(t, log, "fulfil/live: 7 are unfinished, more than 6")
	require.Regexp(t, `fulfil/live: the oldest is .* old, more than 1s`, log)

	t.Run("watch", watches(s, spends))

	operator("resume")
	watch.clears()
	require.Zero(t, lagOf(t, s, "fulfil").Unfinished())
}

// watches: --watch shows it again and again, until it is stopped in order.
func watches(s *site, owed int64) func(*testing.T) {
	return func(t *testing.T) {
		p := launch(t, s.env, "lag", "--watch", "--every", "100ms", "--json", "--max-pending", "1")
		require.Eventually(t, func() bool { return strings.Count(p.out.String(), "\n") >= 3 }, startPatience, tick)
		p.signal(syscall.SIGINT)
		require.Equal(t, exitAbove, p.exitCode(), "as the last look says")
		for line := range strings.Lines(p.out.String()) {
			var snapshot monitor.Snapshot
			require.NoError(t, json.Unmarshal([]byte(line), &snapshot), line)
			require.Equal(t, owed, snapshot.Outbox.Owed)
		}
	}
}

// lagOf is what `sluice lag` says of a consumer on the live lane.
func lagOf(t testing.TB, s *site, consumer string) monitor.Lag {
	t.Helper()
	code, out, log := runs(t, s.env, "lag", "--json")
	require.Zero(t, code, log)
	var snapshot monitor.Snapshot
	require.NoError(t, json.Unmarshal([]byte(out), &snapshot), out)
	for _, lag := range snapshot.Consumers {
		if lag.Consumer == consumer && lag.Lane == "live" {
			return lag
		}
	}
	require.FailNow(t, "no such line", out)
	return monitor.Lag{}
}
