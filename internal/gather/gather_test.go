package gather_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/gather"
)

const (
	waitLong = 30 * time.Second
	tick     = time.Millisecond
)

// gate is a read that stops until it is let through, and keeps what it was asked.
type gate struct {
	began chan []int
	let   chan struct{}
}

func newGate() gate { return gate{make(chan []int), make(chan struct{})} }

func (g gate) read(_ context.Context, keys []int) (map[int]gather.Answer[string], error) {
	g.began <- keys
	<-g.let
	answers := map[int]gather.Answer[string]{}
	for _, key := range keys {
		switch {
		case key == 13:
			answers[key] = gather.Answer[string]{Err: errors.New("13 is broken")}
		case key > 0:
			answers[key] = gather.Answer[string]{Value: strconv.Itoa(key)}
		}
	}
	return answers, nil
}

type result struct {
	value string
	ok    bool
	err   error
}

func ask(ctx context.Context, r *gather.Reader[int, string], key int, group *sync.WaitGroup, into *result) {
	group.Go(func() { into.value, into.ok, into.err = r.Get(ctx, key) })
}

func TestWhoeverAsksMeanwhileIsAnsweredByOneRead(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := gather.New(1, 10, g.read)
	var group sync.WaitGroup
	var first, two, again, none, broken result
	ask(t.Context(), r, 1, &group, &first)
	require.Equal(t, []int{1}, <-g.began)
	for key, into := range map[int]*result{2: &two, -1: &none, 13: &broken} {
		ask(t.Context(), r, key, &group, into)
	}
	ask(t.Context(), r, 1, &group, &again) // the read under way may have begun before: this one needs its own
	require.Eventually(t, func() bool { return r.Waiting() == 4 }, waitLong, tick)
	g.let <- struct{}{}
	require.ElementsMatch(t, []int{1, 2, -1, 13}, <-g.began)
	g.let <- struct{}{}
	group.Wait()
	require.Equal(t, result{"1", true, nil}, first)
	require.Equal(t, result{"2", true, nil}, two)
	require.Equal(t, result{"1", true, nil}, again)
	require.Equal(t, result{}, none)
	require.EqualError(t, broken.err, "13 is broken")
}

func TestOneReadIsBounded(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := gather.New(1, 2, g.read)
	var group sync.WaitGroup
	results := make([]result, 4)
	ask(t.Context(), r, 1, &group, &results[0])
	<-g.began
	for i := 1; i < 4; i++ {
		ask(t.Context(), r, i+1, &group, &results[i])
	}
	require.Eventually(t, func() bool { return r.Waiting() == 3 }, waitLong, tick)
	g.let <- struct{}{}
	require.Len(t, <-g.began, 2)
	g.let <- struct{}{}
	require.Len(t, <-g.began, 1)
	g.let <- struct{}{}
	group.Wait()
	for i, got := range results {
		require.Equal(t, result{strconv.Itoa(i + 1), true, nil}, got)
	}
}

func TestOneWhoGoesAwayEndsNobodysRead(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := gather.New(1, 10, g.read)
	ctx, cancel := context.WithCancel(t.Context())
	var group, leaving sync.WaitGroup
	var gone, stays result
	ask(ctx, r, 1, &leaving, &gone)
	<-g.began
	ask(t.Context(), r, 2, &group, &stays)
	cancel()
	leaving.Wait()
	require.ErrorIs(t, gone.err, context.Canceled)
	g.let <- struct{}{}
	require.Equal(t, []int{2}, <-g.began)
	g.let <- struct{}{}
	group.Wait()
	require.Equal(t, result{"2", true, nil}, stays)
}

func TestAFailedReadIsToldToAllWhoAsked(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	r := gather.New(2, 10, func(context.Context, []int) (map[int]gather.Answer[string], error) { return nil, away })
	_, ok, err := r.Get(t.Context(), 1)
	require.False(t, ok)
	require.ErrorIs(t, err, away)
}

// One read that hangs holds up nobody who comes later, be it one alone.
func TestAReadThatHangsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := gather.New(2, 10, g.read)
	var hanging, group sync.WaitGroup
	var first, second result
	ask(t.Context(), r, 1, &hanging, &first)
	require.Equal(t, []int{1}, <-g.began)
	ask(t.Context(), r, 2, &group, &second)
	require.Equal(t, []int{2}, <-g.began)
	g.let <- struct{}{} // whichever takes it
	g.let <- struct{}{}
	hanging.Wait()
	group.Wait()
	require.Equal(t, result{"2", true, nil}, second)
}
