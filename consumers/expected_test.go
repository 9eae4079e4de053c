package consumers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// A claim that waits for its store, or a spend that the provider's limit sends away,
// is no failure: nobody is to look at it, however often it is said.
func TestAWaitThatIsAsItShouldBeIsNoWarning(t *testing.T) {
	t.Parallel()
	id := outbox.NewID()
	for cause, level := range map[error]slog.Level{
		error(tooEarly{}): slog.LevelInfo,
		&adjustments.Retry{Err: errors.New("full"), After: time.Minute, SentAway: true}: slog.LevelInfo,
		&adjustments.Retry{Err: errors.New("timeout"), After: time.Minute}:              slog.LevelWarn,
		errors.New("no such table"): slog.LevelWarn,
	} {
		var log bytes.Buffer
		runner := &consumers.Runner{
			Consumer: &scripted{consume: func(int, events.Event) (outbox.Effects, error) {
				return outbox.Effects{}, fmt.Errorf("wrapped: %w", cause)
			}},
			Committer: parks{}, Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: consumers.NewMetrics(nil),
		}
		payload, err := events.NewSpendRequested(id, "p", time.Now()).Encode()
		require.NoError(t, err)
		_ = runner.Handle(message.NewMessage(id, payload))
		require.Contains(t, log.String(), "level="+level.String(), "%v", cause)
	}
}

type tooEarly struct{}

func (tooEarly) Error() string             { return "too early" }
func (tooEarly) RetryAfter() time.Duration { return time.Minute }
func (tooEarly) Expected() bool            { return true }

// parks commits whatever it is told.
type parks struct{}

func (parks) Commit(context.Context, outbox.Effects) (outbox.Result, error) {
	return outbox.Applied, nil
}
