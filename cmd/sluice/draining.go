package main

import (
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// commitsMax is how many commits a delivery makes at most, one after the other, each
// retried for as long as the committer has patience.
const commitsMax = 2

// workDrain is how long `work`, told to stop, waits for the deliveries in hand: all
// that one may ask of the game's server and of the provider, and its commits.
func workDrain(h config.HandOver) time.Duration {
	request, answers := handover.RequestMax(h.Timeout), 1
	if len(h.Confirm) > 0 {
		answers = 2 // a check after each yes
	}
	granting := time.Duration(answers+1) * request // patience may be over: a last check
	takingBack := time.Duration(answers)*request + adjustments.CallPatience
	return max(granting, takingBack) + commitsMax*outbox.PatienceDefault
}
