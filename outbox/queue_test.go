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
