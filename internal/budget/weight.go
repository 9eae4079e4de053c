package budget

import (
	"context"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Weight says how urgent a call is. Where more calls wait than may start, each
// weight that has calls waiting gets a share; the share of one that has none is
// given to the others.
type Weight int

// The weights, least urgent first.
const (
	Backfill Weight = iota // the idle share: what nobody waits for (revenuecat.Idle), whole comparisons, replays
	Resync                 // balances read again, for a wallet or a check
	Live                   // a player waits for an item
	Refund                 // a player is owed gems
)

// weights is how many weights there are.
const weights = 4

// shares says how a full minute is divided while all four wait: 32, 64, 128 and
// 256 of 480 calls. Each is twice the one before: urgent enough to be first,
// and even a backfill of any length leaves 15/16 to what players wait for.
var shares = [weights]float64{Backfill: 1, Resync: 2, Live: 4, Refund: 8}

// urgent lists the weights, most urgent first.
var urgent = [weights]Weight{Refund, Live, Resync, Backfill}

// within is the weight of a call that is made within ctx: what nobody waits for has
// the least.
func (w Weight) within(ctx context.Context) Weight {
	if revenuecat.IsIdle(ctx) {
		return Backfill
	}
	return w
}

// String returns the weight as logs and metrics show it.
func (w Weight) String() string {
	switch w {
	case Backfill:
		return "backfill"
	case Resync:
		return "resync"
	case Live:
		return "live"
	case Refund:
		return "refund"
	default:
		return "unknown"
	}
}

// perWeight counts something for each weight.
type perWeight [weights]int

func (p perWeight) total() int {
	sum := 0
	for _, n := range p {
		sum += n
	}
	return sum
}
