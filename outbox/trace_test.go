package outbox

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

// TestWithoutATraceACommitCostsWhatItDid: no step of it allocates for a trace.
func TestWithoutATraceACommitCostsWhatItDid(t *testing.T) {
	ctx := t.Context()
	effects := Effects{Guard: Finish{EventID: "e", Consumer: "c"}, Events: []events.Event{{ID: "e"}}}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, same, span := startCommit(ctx, effects)
		endCommit(span, answer{result: Applied, batch: 7})
		endSend(startSend(ctx, nil, "sluice.live.spend.requested.v1.01", "e", same.Events[0].Traceparent), nil)
		if traceHeader("") != nil {
			panic("a header")
		}
	}))
}

func TestAnErrorHasOneWordInATrace(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"unavailable": ErrUnavailable, "overloaded": ErrOverloaded, "closed": ErrClosed, "data": &DataError{Err: errors.New("x")},
		"canceled": context.Canceled, "timeout": context.DeadlineExceeded, "other": errors.New("x"),
	} {
		require.Equal(t, want, errorType(err))
	}
}
