package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// mutation is a mistake made on purpose: the checks must find it.
type mutation struct {
	committer func(*world, adjustments.Committer) adjustments.Committer
	turns     func(adjustments.Turns) adjustments.Turns
	provider  func(*world, adjustments.Provider) adjustments.Provider

	moveUnguarded   bool // a spend moves whatever state it is in
	settleUnguarded bool // an adjustment is settled again
	settleUnfenced  bool // an old attempt's word counts after another has begun
	manyOpen        bool // no unique index over open adjustments
	doneAtPublish   bool // the outbox row is deleted when the message is published
	republishSameID bool // the broker's window of duplicates swallows the repair
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

// endless has calls that never give up, and so outlast their lease.
func endless(_ *world, next adjustments.Provider) adjustments.Provider {
	return adjuster(func(ctx context.Context, r revenuecat.Request) economy.Outcome {
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

// forgetful reads an open adjustment as if no attempt had been made.
type forgetful struct{ adjustments.Turns }

func forget(next adjustments.Turns) adjustments.Turns { return forgetful{next} }

func (f forgetful) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	turn, err := f.Turns.Turn(ctx, player, limit)
	if turn.Open != nil && turn.Open.LeasedFor <= 0 {
		turn.Open.LeasedBy, turn.Open.UnknownSince = "", time.Time{}
	}
	return turn, err
}
