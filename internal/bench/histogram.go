package bench

import (
	"math/bits"
	"time"
)

// subBits is how many bits of a value a bucket keeps: buckets are at most 1/128,
// 0.8 %, of their value wide.
const subBits = 7

// Histogram counts durations in buckets of constant relative width, from
// nanoseconds to centuries. The zero value is empty.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]int64
	count  int64
	max    time.Duration
}

// Add counts a duration; one below zero counts as zero.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.count++
	h.max = max(h.max, d)
}

// Count returns how many durations were added.
func (h *Histogram) Count() int64 { return h.count }

// Max returns the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that the share q of all do not exceed, by less than
// 0.8 % too long; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(1, int64(q*float64(h.count)+0.5))
	for i, n := range h.counts {
		if rank -= n; rank <= 0 && n > 0 {
			return min(h.max, time.Duration(bucketEnd(i)))
		}
	}
	return h.max
}

func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// bucketEnd is the largest value of a bucket.
func bucketEnd(i int) uint64 {
	shift := max(0, i>>subBits-1)
	return uint64(i-shift<<subBits+1)<<shift - 1
}
