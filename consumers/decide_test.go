package consumers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// parking is an error that asks to wait in the outbox.
type parking struct{ after time.Duration }

func (parking) Error() string               { return "the endpoint is away" }
func (p parking) RetryAfter() time.Duration { return p.after }
func (parking) Parks() bool                 { return true }

func TestDecide(t *testing.T) {
	t.Parallel()
	plain := errors.New("database is away")
	told := func(d time.Duration) error { return &adjustments.Retry{After: d, Err: plain} }
	for _, c := range []struct {
		name    string
		attempt int
		err     error
		jitter  float64
		want    Disposition
	}{
		{"first attempt", 1, plain, 0.5, Disposition{After: 100 * time.Millisecond}},
		{"doubles", 4, plain, 0.5, Disposition{After: 800 * time.Millisecond}},
		{"jitter below", 1, plain, 0, Disposition{After: 80 * time.Millisecond}},
		{"jitter above", 1, plain, 1, Disposition{After: 120 * time.Millisecond}},
		{"what keeps failing leaves the broker", 8, told(time.Second), 0, Disposition{After: time.Second, Park: true}},
		{"doubles until the cap", 7, plain, 0.5, Disposition{After: 6400 * time.Millisecond}},
		{"the wait is capped, for ever", 1_000_000, plain, 0.5, Disposition{After: 10 * time.Second, Park: true}},
		{"the word of who refused wins", 4, told(3 * time.Second), 0, Disposition{After: 3 * time.Second}},
		{"and is never cut short", 1, told(3 * time.Second), 1, Disposition{After: 3600 * time.Millisecond}},
		{"a long word parks", 1, told(time.Minute), 0, Disposition{After: time.Minute, Park: true}},
		{"no word leaves the backoff", 2, told(0), 0.5, Disposition{After: 200 * time.Millisecond}},
		{"who knows that it takes long parks at once", 1, parking{time.Second}, 0, Disposition{After: time.Second, Park: true}},
		{"permanent", 1, Permanent(plain), 0.5, Disposition{Dead: true}},
		{"permanent, wrapped", 1, fmt.Errorf("consume: %w", Permanent(plain)), 0.5, Disposition{Dead: true}},
		{"malformed event", 1, fmt.Errorf("decode: %w", events.ErrMalformed), 0.5, Disposition{Dead: true}},
		{"a panic is tried again", 4, &panicError{value: "boom"}, 0.5, Disposition{After: 800 * time.Millisecond}},
		{"a rule of panics is not", 5, &panicError{value: "boom"}, 0.5, Disposition{Dead: true}},
		{"refused data is tried again", 4, &outbox.DataError{Err: plain}, 0.5, Disposition{After: 800 * time.Millisecond}},
		{"refused data for ever is not", 5, &outbox.DataError{Err: plain}, 0.5, Disposition{Dead: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, Decide(Spec{}, c.attempt, c.err, c.jitter))
		})
	}
}
