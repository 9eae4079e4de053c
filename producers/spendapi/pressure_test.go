package spendapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIntakeShedsWhileCommitsAreSlowAndOpensByItself(t *testing.T) {
	t.Parallel()
	var p pressure
	require.False(t, p.high(start))
	for range pressureSamplesMin - 1 {
		p.observe(time.Minute, start)
	}
	require.False(t, p.high(start), "too few to tell")
	p.observe(time.Minute, start)
	require.True(t, p.high(start))
	require.True(t, p.high(start.Add(-time.Millisecond)), "callers' clocks may be out of order")
	require.True(t, p.high(start.Add(1900*time.Millisecond)))
	require.False(t, p.high(start.Add(2*time.Second)), "nothing measured, nothing refused")

	at := start.Add(time.Minute)
	for range 100 {
		p.observe(5*time.Millisecond, at)
	}
	p.observe(3*time.Second, at)
	require.False(t, p.high(at), "one slow commit is none")
	for range 100 {
		p.observe(3*time.Second, at.Add(time.Second))
	}
	require.True(t, p.high(at.Add(time.Second)))
	require.False(t, p.high(start), "the clock was set back")
}

func TestPlayersHaveTheirRateAndBurst(t *testing.T) {
	t.Parallel()
	l := newPlayerLimiter(20)
	for range 100 {
		require.Zero(t, l.take("a", start))
	}
	require.Equal(t, 50*time.Millisecond, l.take("a", start))
	require.Equal(t, 50*time.Millisecond, l.take("a", start), "being refused costs nothing")
	require.Zero(t, l.take("b", start))
	require.Zero(t, l.take("a", start.Add(50*time.Millisecond)))
	require.NotZero(t, l.take("a", start.Add(50*time.Millisecond)))
	for range 100 {
		require.Zero(t, l.take("a", start.Add(time.Hour)))
	}
	require.NotZero(t, l.take("a", start.Add(time.Hour)))

	slow := newPlayerLimiter(0.01)
	require.Zero(t, slow.take("a", start))
	require.Equal(t, 100*time.Second, slow.take("a", start))
	require.Zero(t, newPlayerLimiter(0).take("a", start))
}

func TestFullBucketsAreDropped(t *testing.T) {
	t.Parallel()
	l := newPlayerLimiter(20)
	for i := range 100_000 { // 1000 players a second
		require.Zero(t, l.take(fmt.Sprint(i), start.Add(time.Duration(i)*time.Millisecond)))
		require.LessOrEqual(t, len(l.fullAt), bucketsSweepMin)
	}
}
