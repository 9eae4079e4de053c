package consumers

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
)

// TestWithoutATraceADeliveryCostsWhatItDid: nothing is allocated for one, whether
// the process traces or not.
func TestWithoutATraceADeliveryCostsWhatItDid(t *testing.T) {
	msg, event := message.NewMessage("e", nil), events.Event{ID: "e"}
	runner := &Runner{}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, span := runner.continued(msg, Spec{Name: "adjust"}, event, 1)
		endTrace(span, "applied", nil)
	}))
}
