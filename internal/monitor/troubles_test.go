package monitor_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestEverybodyKnowsWhichServerOfTheGameFails: what workers keep in memory is known to
// all who ask, the worst of several counts, and it is over when they say so or died.
func TestEverybodyKnowsWhichServerOfTheGameFails(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	look := func(endpoints ...string) []monitor.Endpoint {
		list, err := monitor.New(db, nil, endpoints...).Endpoints(t.Context())
		require.NoError(t, err)
		return list
	}
	rows := func() (n int) {
		require.NoError(t, db.Get(&n, "SELECT count(*) FROM handover_troubles"))
		return n
	}
	worker := func(name string, meets *[]handover.Trouble) *monitor.Troubles {
		return &monitor.Troubles{DB: db, Process: name, Look: func() []handover.Trouble { return *meets }, Log: slog.New(slog.DiscardHandler)}
	}
	now := time.Now()
	var one, two []handover.Trouble
	first, second := worker("one", &one), worker("two", &two)
	tell := func(after time.Duration) {
		now = now.Add(after)
		require.NoError(t, first.Tell(t.Context(), now))
		require.NoError(t, second.Tell(t.Context(), now))
	}

	tell(0)
	require.Zero(t, rows(), "while all is well nothing is written")
	one = []handover.Trouble{{Endpoint: "guild", Circuit: 0, For: 90 * time.Second, Failures: 4, Last: "answered 503"}}
	tell(time.Second)
	guild := look("castle", "guild")[1]
	require.Equal(t, budget.CircuitClosed, guild.Circuit)
	require.EqualValues(t, 4, guild.Failures)
	within(t, 90, guild.TroubleAge)
	require.False(t, guild.Down(), "nothing waits for it")
	two = []handover.Trouble{{Endpoint: "guild", Circuit: 2, For: 20 * time.Second, Failures: 12, Wait: 15 * time.Second, Last: "no answer within 5s"}}
	tell(time.Second)
	guild = look()[0]
	require.Equal(t, monitor.Endpoint{
		Name: "guild", Circuit: budget.CircuitOpen, TroubleAge: guild.TroubleAge, Failures: 12, LastError: "no answer within 5s", ProbeIn: guild.ProbeIn,
	}, guild, "also where no setting names it")
	within(t, 90, guild.TroubleAge)
	require.Positive(t, guild.ProbeIn)
	require.True(t, guild.Down())

	two = nil // it answers that one again
	tell(time.Second)
	require.Equal(t, budget.CircuitClosed, look()[0].Circuit)
	require.Equal(t, 1, rows())
	_, err := db.Exec("UPDATE handover_troubles SET told_at = told_at - interval '1 minute'")
	require.NoError(t, err)
	require.Empty(t, look(), "whoever told it died")
	tell(5 * time.Second)
	require.Len(t, look(), 1, "it did not: it tells every few seconds")
	one = nil
	tell(time.Second)
	require.Zero(t, rows())
}
