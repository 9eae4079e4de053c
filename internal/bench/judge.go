package bench

import (
	"fmt"
	"time"
)

// Figures that are judged.
const (
	keyAccepted = "accepted"
	keyDrained  = "drained_after_seconds"
)

// judge says what the service did not do, by the worst run: every run has accepted
// spends, or it has measured nothing; and what is left when a load stops is done within
// a time. 0: that is not judged.
func (f Figures) judge(within time.Duration) []string {
	missed := []string{}
	if accepted := f.Of(keyAccepted); accepted == nil || accepted.Min == 0 {
		missed = append(missed, "a run had no request accepted: the other answers say why")
	}
	if drained := f.Of(keyDrained); within > 0 && drained != nil && drained.Max > within.Seconds() {
		missed = append(missed, fmt.Sprintf("what was left after load was drained in %s s, more than %s", number(drained.Max), within))
	}
	return missed
}
