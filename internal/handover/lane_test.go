package handover

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A slow endpoint keeps as many callers as it has room for; everybody else is away
// at once, each with a time of its own to come back.
func TestAFullLaneSendsAwayAndKeepsNobodyLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(2, time.Now, func() {})
		var inHand []*pass
		for range 2 {
			p, _, _ := l.enter(t.Context())
			require.NotNil(t, p)
			inHand = append(inHand, p)
		}
		var group sync.WaitGroup
		var mu sync.Mutex
		entered, late := 0, 0
		for range 2 {
			group.Go(func() {
				p, refused, why := l.enter(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if p != nil {
					entered++
					return
				}
				if refused.Kind == Later && why == "busy" {
					late++
				}
			})
		}
		synctest.Wait()
		started, last := time.Now(), time.Duration(0)
		for range 100 {
			p, refused, why := l.enter(t.Context())
			require.Nil(t, p)
			require.Equal(t, Later, refused.Kind)
			require.Equal(t, "busy", why)
			require.False(t, refused.Park)
			require.Greater(t, refused.After, last, "each comes back after the one before")
			last = refused.After
		}
		require.Zero(t, time.Since(started), "nobody waits who finds no room to")
		require.Equal(t, 100*tookFirst/2, last, "as fast as the lane works")
		time.Sleep(slotWait / 2) //nolint:forbidigo // simulated time, in a bubble of synctest
		inHand[0].leave(Outcome{Kind: Granted})
		group.Wait()
		require.Equal(t, 1, entered, "who waits gets the slot that becomes free")
		require.Equal(t, 1, late, "and who does not is away after a moment")
		require.Equal(t, slotWait, time.Since(started))
	})
}

func TestADeadEndpointIsAskedByOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		returned := 0
		l := newLane(4, time.Now, func() { returned++ })
		failed, asked := Outcome{Kind: Failed, Detail: "answered 503"}, 0
		for range runMax {
			p, _, _ := l.enter(t.Context())
			p.leave(failed)
		}
		_, first, why := l.enter(t.Context())
		require.Equal(t, Outcome{Kind: Failed, Park: true, After: openFirst + awaySpacing, Detail: first.Detail}, first)
		require.Equal(t, "circuit", why)
		_, second, _ := l.enter(t.Context())
		require.Equal(t, first.After+awaySpacing, second.After)
		for range 600 { // a minute
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // simulated time, in a bubble of synctest
			for range 3 {
				if p, _, _ := l.enter(t.Context()); p != nil {
					asked++
					other, _, _ := l.enter(t.Context())
					require.Nil(t, other, "while a probe is under way")
					p.leave(failed)
				}
			}
		}
		require.InDelta(t, 7, asked, 1, "probes in the first minute")
		trouble, _ := l.trouble()
		require.Equal(t, Trouble{
			Circuit: 2, For: time.Minute, Failures: runMax + asked, Wait: trouble.Wait, Last: "answered 503",
		}, trouble, "and it is told what became of the last")
		time.Sleep(openMax) //nolint:forbidigo // simulated time, in a bubble of synctest
		p, _, _ := l.enter(t.Context())
		require.Zero(t, returned)
		p.leave(Outcome{Kind: Granted})
		require.Equal(t, 1, returned, "whoever waits for that is told")
		for range 4 {
			p, _, _ := l.enter(t.Context())
			require.NotNil(t, p, "it is back")
		}
		require.Len(t, l.slots, 4)
		_, troubled := l.trouble()
		require.False(t, troubled)
	})
}
