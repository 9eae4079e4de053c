package adjustments

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// CallPatience bounds one attempt, with everything the client does in it. It
	// counts from before the commit that takes the lease, since that is the latest
	// moment known to lie before the lease's own beginning.
	CallPatience = 8 * time.Second
	// leaseTime is how long an attempt keeps others from the same adjustment. It
	// outlasts CallPatience, so that two calls never overlap; a killed worker's
	// players wait this long for another.
	leaseTime = 10 * time.Second
	// boundMax is how many spends one adjustment charges at most. More would make
	// the statement that settles them, and a split after a refusal, longer than the
	// call they save.
	boundMax = 100
	// waitingMax is how many waiting spends one look reads: those of the next
	// adjustment, and some that a refusal may decline on its evidence.
	waitingMax = 2 * boundMax
	// asideAfter is how long an adjustment of unknown outcome holds up the player's
	// later spends. From then on they pass it (design.md, promise 6).
	asideAfter = 5 * time.Minute
	// asideWait is when an adjustment that stepped aside is asked about again.
	asideWait = 15 * time.Minute
	// inHandWait is when to come back for a player somebody else works for.
	inHandWait = 200 * time.Millisecond
)

// Turns tells what there is to do for a player; Store reads it from PostgreSQL.
type Turns interface {
	Turn(ctx context.Context, appUserID string, limit int) (Turn, error)
	// Waiting returns the turn of a player of whom nothing is open, without the balances:
	// the spends that wait at a place of the line or behind it. If something is open, Bind
	// will tell.
	Waiting(ctx context.Context, appUserID string, from int64, limit int) (Turn, error)
	// Aside returns the adjustment of a spend that stepped aside, with all spends it
	// concerns; the turn has nothing open when there is none.
	Aside(ctx context.Context, spend economy.Spend) (Turn, error)
}

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Provider changes balances; revenuecat.Client does.
type Provider interface {
	Adjust(ctx context.Context, request revenuecat.Request) economy.Outcome
}

// Retry says that the work is not done and when to come back.
type Retry struct {
	After    time.Duration // at least; 0: as the caller's backoff says
	Err      error
	SentAway bool // the provider's limit or a pause let no call start: nothing was tried
	aside    bool // the adjustment has stepped aside: what waits behind it need not come back
}

// Error implements error.
func (r *Retry) Error() string { return r.Err.Error() }

// RetryAfter returns when to come back at the earliest; 0: no wish.
func (r *Retry) RetryAfter() time.Duration { return r.After }

// NotTried reports whether to come back is no further attempt.
func (r *Retry) NotTried() bool { return r.SentAway }

// Unwrap returns the cause.
func (r *Retry) Unwrap() error { return r.Err }

// ErrInHand says that another worker of this process has the player in hand. It
// looks again before it leaves; if it fails before that, its own delivery comes back.
var ErrInHand = errors.New("player is in hand")

// Config configures a Teller.
type Config struct {
	Turns     Turns
	Committer Committer
	Provider  Provider
	Admission Admission // nil: every call may start at once
	Refusals  Refusals  // nil: no operator has a refused refund tried again
	// SoleWriter, when set, says that nobody but Sluice moves balances, neither a
	// purchase nor a dashboard, so that a reading can settle an unknown outcome.
	SoleWriter SoleWriter
	Process    string // names this process in leases; a new one per start
	NewID      func() string
	Now        func() time.Time
	Log        *slog.Logger
	// Tracer continues the traces of the spends that are settled, which Traces reads;
	// nil: it does not.
	Tracer trace.Tracer
	Traces Traces
}

// Teller binds, calls and settles adjustments. It is safe for concurrent use.
type Teller struct {
	Config
	players players
	lately  lately
	lines   lines
}

// NewTeller returns a teller.
func NewTeller(config Config) *Teller {
	if config.Admission == nil {
		config.Admission = always{config.Provider}
	}
	return &Teller{Config: config}
}

// Charge charges the player's waiting spends, oldest first, until none waits,
// and returns the ids of those it settled. An open adjustment that somebody left
// behind is finished first. After an error the caller must call again, even if
// all it came for is settled: others may have gone away relying on this one.
//
// Errors: ErrInHand when another worker of this process does it already; *Retry
// when the provider gave no definite answer, another process holds the lease, or
// the database is away. Calling it again is always safe.
func (t *Teller) Charge(ctx context.Context, appUserID string) (settled []string, err error) {
	switch t.players.take(appUserID, true, true) {
	case promised:
		return nil, ErrInHand
	case refused:
		return nil, inHand("charge")
	case taken:
	}
	left := false
	defer func() {
		if !left { // an error, or a panic: the player must not stay in hand
			t.players.abandon(appUserID)
		}
	}()
	coalesce := boundMax
	charge := work{bind: func(ctx context.Context, turn Turn) (Turn, error) { return t.bindWaiting(ctx, turn, coalesce) }}
	for {
		done, err := t.step(ctx, appUserID, charge)
		if err != nil {
			return settled, err
		}
		settled = append(settled, done.settled...)
		if done.refused > 0 {
			coalesce = max(1, done.refused/2) // the balance we know is too high: halves, until one fits
		} else if done.bound > 0 {
			coalesce = boundMax // the answer told the balance
		}
		if !done.more && !t.players.leave(appUserID) {
			left = true
			t.lately.add(settled)
			return settled, nil
		}
	}
}

// Settled reports, once, whether this process settled a spend by Charge a moment ago, and
// so ended its delivery. False says nothing. What a Charge settled that ended in an error
// is not kept: its delivery must come back, see there.
func (t *Teller) Settled(spendID string) bool { return t.lately.take(spendID) }

// PassedOver says that a spend of the player waits which Charge did not see: its commit
// came long after that of a later one. The next Charge looks at all of the line.
func (t *Teller) PassedOver(appUserID string) { t.lines.forget(appUserID) }
