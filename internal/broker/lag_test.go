package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

// saga gets two facts, on one lane.
var saga = Durable{Consumer: "saga", Types: []events.Type{events.SpendChargedV1, events.SpendRefundingV1}, AckWait: time.Hour}

var (
	chargedSubject   = events.SubjectOf(events.Live, events.SpendChargedV1, 1)
	refundingSubject = events.SubjectOf(events.Live, events.SpendRefundingV1, 2)
)

func TestLagCountsAndAgesTheUnfinished(t *testing.T) {
	t.Parallel()
	c := start(t, saga)
	oldest := func() (time.Duration, bool) {
		age, any, err := c.OldestUnfinished(t.Context(), "saga", events.Live)
		require.NoError(t, err)
		return age, any
	}
	_, any := oldest()
	require.False(t, any)

	publish(t, c, chargeSubject, "not for saga")
	stored := time.Now()
	publish(t, c, refundingSubject, "a")
	publish(t, c, chargedSubject, "b")
	publish(t, c, chargeSubject, "not for saga either")
	publish(t, c, refundingSubject, "c")
	eventually(t, func() bool { return time.Since(stored) > 300*time.Millisecond }, "some age")
	age, any := oldest()
	require.True(t, any)
	require.InDelta(t, time.Since(stored).Seconds(), age.Seconds(), 0.25)

	lags, err := c.Lag(t.Context())
	require.NoError(t, err)
	require.Len(t, lags, 1)
	require.NoError(t, lags[0].Err)
	require.Equal(t, "saga", lags[0].Consumer)
	require.Equal(t, events.Live, lags[0].Lane)
	require.EqualValues(t, 3, lags[0].Pending)
	require.GreaterOrEqual(t, lags[0].OldestAge, age)

	// a and c are finished, b stays in hand: it is the oldest, and nothing else counts.
	msgs := subscribe(t, c, saga)
	a, b, last := next(t, msgs), next(t, msgs), next(t, msgs)
	a.Ack()
	last.Ack()
	eventually(t, func() bool { return state(t, c, saga).NumAckPending == 1 }, "two acked")
	m, err := c.js.Stream(t.Context(), StreamName)
	require.NoError(t, err)
	raw, err := m.GetMsg(t.Context(), sequence(b))
	require.NoError(t, err)
	info := state(t, c, saga)
	age, any, err = c.oldest(t.Context(), info)
	require.NoError(t, err)
	require.True(t, any)
	require.Equal(t, info.TimeStamp.Sub(raw.Time), age, "by the server's clock")

	// A delayed nack is unfinished, and so is its age.
	NakAfter(b, time.Hour)
	b.Nack()
	eventually(t, func() bool { return len(c.firstSubscription().replies()) == 0 }, "nacked")
	lags, err = c.Lag(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, lags[0].AckPending)
	require.GreaterOrEqual(t, lags[0].OldestAge, age)
}

func (c *Conn) firstSubscription() (first *subscription) {
	c.eachSubscription(func(s *subscription) { first = s })
	return first
}

// Messages finished out of order, some after several deliveries: the age is always
// that of the oldest one left.
func TestOldestAgeFollowsTheOldestLeft(t *testing.T) {
	t.Parallel()
	d := saga
	d.MaxInFlight = 100
	c := start(t, d)
	const n = 60
	for i := range n {
		publish(t, c, []string{chargedSubject, refundingSubject, chargeSubject}[i%3], fmt.Sprint("m", i))
	}
	msgs := subscribe(t, c, d)
	stream, err := c.js.Stream(t.Context(), StreamName)
	require.NoError(t, err)
	inHand := map[uint64]interface{ Ack() bool }{}
	for range n * 2 / 3 {
		m := next(t, msgs)
		if m.UUID == "m0" || m.UUID == "m10" { // delivered twice
			m.Nack()
			m = next(t, msgs)
		}
		inHand[sequence(m)] = m
	}
	for step := range len(inHand) {
		oldest := uint64(n + 1)
		for seq := range inHand {
			oldest = min(oldest, seq)
		}
		raw, err := stream.GetMsg(t.Context(), oldest)
		require.NoError(t, err)
		eventually(t, func() bool { return state(t, c, d).NumAckPending == len(inHand) }, "acks arrived")
		info := state(t, c, d)
		age, any, err := c.oldest(t.Context(), info)
		require.NoError(t, err)
		require.True(t, any)
		require.Equal(t, info.TimeStamp.Sub(raw.Time), age, "step %d, ack floor %d, oldest %d", step, info.AckFloor.Stream, oldest)
		for seq, m := range inHand { // any one, in map order
			m.Ack()
			delete(inHand, seq)
			break
		}
	}
	eventually(t, func() bool { return state(t, c, d).NumAckPending == 0 }, "all acked")
	_, any, err := c.OldestUnfinished(t.Context(), "saga", events.Live)
	require.NoError(t, err)
	require.False(t, any)
}

func TestLagOfWhatIsMissingIsNoneAndHeals(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	require.NoError(t, c.js.DeleteStream(t.Context(), StreamName))
	_, any, err := c.OldestUnfinished(t.Context(), "adjust", events.Live)
	require.NoError(t, err)
	require.False(t, any)
	eventually(t, func() bool {
		_, err := c.js.Consumer(t.Context(), StreamName, "adjust")
		return err == nil
	}, "healed")
	_, any, err = c.OldestUnfinished(t.Context(), "unheard", events.Bulk)
	require.NoError(t, err)
	require.False(t, any)
}

// A command line that declares no durables asks the server for them.
func TestLagListsWhatTheServerHas(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	other := connect(t, server.URL())
	lags, err := other.Lag(t.Context())
	require.NoError(t, err)
	require.Empty(t, lags)
	c := connect(t, server.URL())
	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge, {Consumer: "mirror", Lane: events.Bulk, Types: []events.Type{"x"}}}))
	lags, err = other.Lag(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []Lag{{Consumer: "adjust", Lane: events.Live}, {Consumer: "mirror", Lane: events.Bulk}}, lags)
}

func TestTrimRemovesOnlyWhatAllHaveFinished(t *testing.T) {
	t.Parallel()
	c := start(t, charge, saga)
	stream, err := c.js.Stream(t.Context(), StreamName)
	require.NoError(t, err)
	first := func() jetstream.StreamState {
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		return info.State
	}
	require.NoError(t, c.Trim(t.Context()), "an empty stream")
	publishMany(t, c, chargeSubject, "r", 10) // 1 to 10
	publishMany(t, c, chargedSubject, "c", 5) // 11 to 15
	require.NoError(t, c.Trim(t.Context()))
	require.EqualValues(t, 15, first().Msgs)

	charges := subscribe(t, c, charge)
	held := next(t, charges) // 1
	for range 9 {
		next(t, charges).Ack()
	}
	sagas := subscribe(t, c, saga)
	for range 5 {
		next(t, sagas).Ack()
	}
	eventually(t, func() bool { return state(t, c, charge).NumAckPending == 1 && state(t, c, saga).NumAckPending == 0 }, "acked")
	require.NoError(t, c.Trim(t.Context()))
	require.EqualValues(t, 15, first().Msgs, "the first one is held")
	held.Ack()
	eventually(t, func() bool { return state(t, c, charge).NumAckPending == 0 }, "acked")
	require.NoError(t, c.Trim(t.Context()))
	require.Zero(t, first().Msgs)
	require.NoError(t, c.Trim(t.Context()))
	publish(t, c, chargeSubject, "later")
	m := next(t, charges)
	require.EqualValues(t, 16, sequence(m), "sequences go on")
	m.Ack()
}
