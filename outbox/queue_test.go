package outbox

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What comes while a batch is being committed waits for it, but not for the disk beside a
// small one, and not for one that hangs.
func TestASecondBatchStartsSoonBesideASmallOne(t *testing.T) {
	t.Parallel()
	for size, wait := range map[int]time.Duration{1: spareSoon, smallBatch: spareSoon, smallBatch + 1: spareAfter} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(100)
			for i := range size {
				require.NoError(t, q.put(&pending{keys: []string{strconv.Itoa(i)}}))
			}
			require.Len(t, q.take(100), size)
			require.NoError(t, q.put(&pending{keys: []string{"next"}}))
			began, taken := time.Now(), make(chan time.Time, 1)
			go func() {
				q.take(100)
				taken <- time.Now()
			}()
			require.Equal(t, wait, (<-taken).Sub(began), "beside %d", size)
			q.committed()
			q.committed()
		})
	}
}

// While others are in more of a hurry a batch is small, whatever waits.
func TestABatchIsSmallWhileOthersHurry(t *testing.T) {
	t.Parallel()
	hurry := false
	c := &Committer{config: CommitterConfig{BatchMax: 100, Short: func() bool { return hurry }}}
	require.Equal(t, 100, c.batchMax())
	hurry = true
	require.Equal(t, smallBatch, c.batchMax())
	c.config.BatchMax = 3
	require.Equal(t, 3, c.batchMax())
	c.config.Short = nil
	require.Equal(t, 3, c.batchMax())
}
