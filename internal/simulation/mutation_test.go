package simulation

import (
	"context"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// mutation is a mistake made on purpose: the checks must find it.
type mutation struct {
	committer func(*world, adjustments.Committer) adjustments.Committer
	turns     func(*world, adjustments.Turns) adjustments.Turns
	provider  func(*world, adjustments.Provider) adjustments.Provider
	endpoints func(*world, endpoints) endpoints

	moveUnguarded   bool // a spend moves whatever state it is in
	settleUnguarded bool // an adjustment is settled again
	settleUnfenced  bool // an old attempt's word counts after another has begun
	manyOpen        bool // no unique index over open adjustments
	doneAtPublish   bool // the outbox row is deleted when the message is published
	republishSameID bool // the broker's window of duplicates swallows the repair
	bindBound       bool // a bound spend is bound again
	besideUnseen    bool // nobody looks whether what a refusal declines still waits
	asideBlocks     bool // an adjustment that stepped aside still keeps others from the player
	asideSetsFree   bool // it is taken for refused
	readAnyway      bool // readings settle although others move balances
	leaseBlind      bool // an operator takes an attempt under way for one that is over
	oldWord         bool // what an operator says was true when he looked, and counts for later attempts
	gameForgets     bool // the game grants what it had revoked
	cancelBlind     bool // a cancel does not look for a call under way
	giveUpBlind     bool // a refund is given up although the game was asked to take its item back
	unlooked        bool // nobody looks whether an applied key was stored: the sums must tell
}

// adjuster is a provider made of a function.
type adjuster func(context.Context, revenuecat.Request) economy.Outcome

func (f adjuster) Adjust(ctx context.Context, r revenuecat.Request) economy.Outcome { return f(ctx, r) }

// freshKeys gives every attempt whose key ends in suffix a key of its own.
func freshKeys(suffix string) func(*world, adjustments.Provider) adjustments.Provider {
	return func(w *world, next adjustments.Provider) adjustments.Provider {
		return adjuster(func(ctx context.Context, r revenuecat.Request) economy.Outcome {
			if strings.HasSuffix(r.IdempotencyKey, suffix) {
				r.IdempotencyKey += "#" + w.newID("")
			}
			return next.Adjust(ctx, r)
		})
	}
}

// unknownIsFailed takes a charge whose answer was lost for refused.
func unknownIsFailed(_ *world, next adjustments.Provider) adjustments.Provider {
	return adjuster(func(ctx context.Context, r revenuecat.Request) economy.Outcome {
		outcome := next.Adjust(ctx, r)
		if outcome.Kind == economy.Unknown && !credits(r.Body) {
			outcome.Kind = economy.Refused
		}
		return outcome
	})
}

// endless has calls that take long and never give up, and so outlast their lease.
func endless(w *world, next adjustments.Provider) adjustments.Provider {
	return adjuster(func(ctx context.Context, r revenuecat.Request) economy.Outcome {
		for range w.random.IntN(20) {
			w.pause("take long to call")
		}
		return next.Adjust(context.WithoutCancel(ctx), r)
	})
}

// lateBinder commits what binds an adjustment only after its first call.
type lateBinder struct {
	adjustments.Committer
	bound map[string]outbox.Effects
}

func bindLate(_ *world, next adjustments.Committer) adjustments.Committer {
	return lateBinder{next, map[string]outbox.Effects{}}
}

func (l lateBinder) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	var about string
	switch guard := effects.Guard.(type) {
	case adjustments.Bind:
		l.bound[guard.ID] = effects
		return outbox.Applied, nil
	case adjustments.Settled:
		about = guard.AdjustmentID
	case adjustments.Attempted:
		about = guard.AdjustmentID
	}
	if bind, ok := l.bound[about]; ok {
		delete(l.bound, about)
		if result, err := l.Committer.Commit(ctx, bind); err != nil || result != outbox.Applied {
			return result, err
		}
	}
	return l.Committer.Commit(ctx, effects)
}
