package adjustments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// callPatience bounds one attempt, with everything the client does in it. It
	// counts from before the commit that takes the lease, since that is the latest
	// moment known to lie before the lease's own beginning.
	callPatience = 8 * time.Second
	// leaseTime is how long an attempt keeps others from the same adjustment. It
	// outlasts callPatience, so that two calls never overlap; a killed worker's
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
	After time.Duration // at least; 0: as the caller's backoff says
	Err   error
	aside bool // the adjustment has stepped aside: what waits behind it need not come back
}

// Error implements error.
func (r *Retry) Error() string { return r.Err.Error() }

// RetryAfter returns when to come back at the earliest; 0: no wish.
func (r *Retry) RetryAfter() time.Duration { return r.After }

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
	// SoleWriter, when set, says that nobody but Sluice moves balances, neither a
	// purchase nor a dashboard, so that a reading can settle an unknown outcome.
	SoleWriter SoleWriter
	Process    string // names this process in leases; a new one per start
	NewID      func() string
	Now        func() time.Time
	Log        *slog.Logger
}

// Teller binds, calls and settles adjustments. It is safe for concurrent use.
type Teller struct {
	Config
	players players
}

// NewTeller returns a teller.
func NewTeller(config Config) *Teller { return &Teller{Config: config} }

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
	bindNext := func(ctx context.Context, turn Turn) (Turn, error) { return t.bindWaiting(ctx, turn, coalesce) }
	for {
		done, err := t.step(ctx, appUserID, bindNext)
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
			return settled, nil
		}
	}
}

// Refund gives the cost of a refunding spend back. It returns nil once the
// refund is settled: applied, or refused for good and left to an operator.
// Errors are those of Charge, but never ErrInHand: it asks to be called again.
func (t *Teller) Refund(ctx context.Context, spend economy.Spend) error {
	if t.players.take(spend.AppUserID, false, false) != taken {
		return inHand("refund of spend " + spend.ID)
	}
	defer t.players.abandon(spend.AppUserID)
	if !spend.UnknownSince.IsZero() {
		if err := t.resolve(ctx, spend); err != nil {
			return err
		}
	}
	bindRefund := func(ctx context.Context, _ Turn) (Turn, error) {
		return t.bind(ctx, newRefund(t.NewID(), spend, revenuecat.Body), []economy.Spend{spend}, nil)
	}
	for {
		done, err := t.step(ctx, spend.AppUserID, bindRefund)
		if err != nil || slices.Contains(done.settled, spend.ID) {
			return err
		}
	}
}

// Resolve asks once more about a spend whose adjustment stepped aside because
// its outcome stayed unknown, under the same key. It returns nil when that settled
// it, or when it has no such adjustment; *Retry when that set it free again, since
// then it is to be charged like any other. Other errors are those of Refund.
func (t *Teller) Resolve(ctx context.Context, spend economy.Spend) error {
	if t.players.take(spend.AppUserID, false, false) != taken {
		return inHand(spend.ID)
	}
	defer t.players.abandon(spend.AppUserID)
	return t.resolve(ctx, spend)
}

func (t *Teller) resolve(ctx context.Context, spend economy.Spend) error {
	turn, err := t.Turns.Aside(ctx, spend)
	if err != nil {
		return &Retry{Err: err}
	}
	if turn.Open == nil {
		return nil
	}
	switch done, err := t.adopt(ctx, turn); {
	case err != nil:
		return err
	case len(done.settled) == 0:
		return &Retry{After: inHandWait, Err: fmt.Errorf("adjustment %s was not applied: its spends wait again", turn.Open.ID)}
	}
	return nil
}

// inHand asks to come back to a player whom somebody works for who makes no promise.
func inHand(what string) error {
	return &Retry{After: inHandWait, Err: fmt.Errorf("%s: the player is in hand", what)}
}

// progress is what one step did.
type progress struct {
	settled []string // spends
	bound   int      // spends of the adjustment
	refused int      // the same, when it was refused for lack of funds
	more    bool     // there may be more to do
}

// step finishes the open adjustment, or binds the next and settles that.
func (t *Teller) step(ctx context.Context, appUserID string, bindNext func(context.Context, Turn) (Turn, error)) (progress, error) {
	turn, err := t.Turns.Turn(ctx, appUserID, waitingMax)
	if err != nil {
		return progress{}, &Retry{Err: err}
	}
	if turn.Open != nil {
		done, err := t.adopt(ctx, turn)
		var retry *Retry
		if errors.As(err, &retry) && retry.aside {
			err = nil // whoever saw to it passes it now, rather than wait with it
		}
		done.more = true
		return done, err
	}
	bound, err := bindNext(ctx, turn)
	if err != nil || bound.Open == nil {
		return progress{}, err
	}
	done, err := t.attempt(ctx, bound, bound.Open.OpenedAt)
	done.more = len(turn.Waiting) > len(done.settled)
	return done, err
}

func ids(spends []economy.Spend) []string {
	list := make([]string, len(spends))
	for i, spend := range spends {
		list[i] = spend.ID
	}
	return list
}

// bindWaiting binds the oldest waiting spends, together at most limit and as
// many as the last known balance covers, to a new adjustment; none is open
// afterwards when none waits.
func (t *Teller) bindWaiting(ctx context.Context, turn Turn, limit int) (Turn, error) {
	if grantIsNext(turn.Waiting) {
		return t.bindGrant(ctx, turn)
	}
	waiting := untilGrant(turn.Waiting)
	n := economy.Coalesced(waiting, turn.Known, limit)
	if n == 0 {
		return Turn{}, nil
	}
	return t.bind(ctx, newCharge(t.NewID(), waiting[:n], revenuecat.Body), waiting[:n], waiting[n:])
}

// bind commits the adjustment before anybody calls. What else waits is kept in the
// turn, as far as a refusal would decline it on its evidence. A stale bind lost
// against somebody else, whose work the next look will show.
func (t *Teller) bind(ctx context.Context, adjustment Adjustment, spends, waiting []economy.Spend) (Turn, error) {
	beside := declinedBeside(adjustment, waiting)
	adjustment.LeasedBy, adjustment.OpenedAt, adjustment.Attempts = t.Process, t.Now(), 1
	result, err := t.Committer.Commit(ctx, outbox.Effects{
		Guard: Bind{Adjustment: adjustment, Spends: spends, Beside: beside, Lease: leaseTime}, Owner: adjustment.AppUserID,
	})
	if err != nil {
		return Turn{}, &Retry{Err: fmt.Errorf("bind adjustment: %w", err)}
	}
	if result != outbox.Applied {
		return Turn{}, &Retry{After: inHandWait, Err: fmt.Errorf("bind adjustment: %s", result)}
	}
	return Turn{Open: &adjustment, Spends: spends, Waiting: beside}, nil
}

// adopt takes the lease of an adjustment somebody left open and finishes it.
func (t *Teller) adopt(ctx context.Context, turn Turn) (progress, error) {
	open := turn.Open
	if open.LeasedBy != t.Process && open.LeasedFor > 0 {
		return progress{}, &Retry{After: min(open.LeasedFor, inHandWait), Err: fmt.Errorf("adjustment %s: another process has it", open.ID)}
	}
	leasedAt := t.Now()
	result, err := t.Committer.Commit(ctx, outbox.Effects{
		Guard: Lease{AdjustmentID: open.ID, Process: t.Process, Attempt: open.Attempts + 1, For: leaseTime}, Owner: open.AppUserID,
	})
	if err != nil {
		return progress{}, &Retry{Err: fmt.Errorf("adopt adjustment %s: %w", open.ID, err)}
	}
	if result != outbox.Applied {
		return progress{}, &Retry{After: inHandWait, Err: fmt.Errorf("adopt adjustment %s: %s", open.ID, result)}
	}
	open.Attempts++
	if open.LeasedBy != "" && open.UnknownSince.IsZero() {
		open.UnknownSince = leasedAt // the attempt before was not recorded: it may have been made, and applied
	}
	return t.attempt(ctx, turn, leasedAt)
}

// attempt sends the adjustment's stored key and bytes once and commits what
// follows from the outcome. The lease was taken at leasedAt or later; an attempt
// whose time is over before it begins is not sent.
func (t *Teller) attempt(ctx context.Context, turn Turn, leasedAt time.Time) (progress, error) {
	open := turn.Open
	started := t.Now()
	callCtx, cancel := context.WithTimeout(ctx, callPatience-started.Sub(leasedAt))
	defer cancel()
	outcome := t.Provider.Adjust(callCtx, revenuecat.Request{
		AppUserID: open.AppUserID, IdempotencyKey: open.IdempotencyKey, Body: []byte(open.Body), CreateCustomer: open.Purpose != Refund,
	})
	if !open.UnknownSince.IsZero() && outcome.Kind == economy.Refused {
		// An earlier attempt went unanswered and may have been applied: a refusal of
		// this one (a customer deleted since, say) says nothing about that one.
		outcome.Kind = economy.Unknown
	}
	if !outcome.Definite() {
		if done, settled := t.settleByReading(ctx, turn, outcome); settled {
			return done, nil
		}
		return t.indefinite(ctx, open, outcome)
	}
	effects, done := t.settlement(turn, outcome, started)
	result, err := t.Committer.Commit(ctx, effects)
	if err != nil {
		// The outcome is not lost: the same key and bytes will be answered again.
		return progress{}, &Retry{Err: fmt.Errorf("settle adjustment %s: %w", open.ID, err)}
	}
	if result != outbox.Applied {
		return progress{}, &Retry{After: inHandWait, Err: fmt.Errorf("settle adjustment %s: %s", open.ID, result)}
	}
	return done, nil
}

// indefinite records an attempt that decided nothing and asks for another. An
// unknown outcome is never compensated: only the same key may be sent again.
func (t *Teller) indefinite(ctx context.Context, open *Adjustment, outcome economy.Outcome) (progress, error) {
	attempted := Attempted{AdjustmentID: open.ID, Attempt: open.Attempts, UnknownSince: open.UnknownSince, Error: outcome.Detail}
	if outcome.Kind == economy.Unknown && open.UnknownSince.IsZero() {
		attempted.UnknownSince = t.Now()
	}
	attempted.Aside = !open.UnknownSince.IsZero() && t.Now().Sub(open.UnknownSince) >= asideAfter
	result, err := t.Committer.Commit(ctx, outbox.Effects{Guard: attempted, Owner: open.AppUserID})
	if err != nil {
		t.Log.WarnContext(ctx, "attempt not recorded", "adjustment", open.ID, "error", err) // the lease runs out by itself
	}
	retry := &Retry{
		After: outcome.RetryAfter, Err: fmt.Errorf("adjustment %s: %s: %s", open.ID, outcome.Kind, outcome.Detail),
		aside: attempted.Aside && result == outbox.Applied,
	}
	if retry.aside {
		retry.After = asideWait
	}
	return progress{}, retry
}

// settlement is everything that follows from a definite outcome, under the one
// guard that the adjustment was still open.
func (t *Teller) settlement(turn Turn, outcome economy.Outcome, started time.Time) (outbox.Effects, progress) {
	open, now := turn.Open, t.Now()
	settled := Settled{AdjustmentID: open.ID, Attempt: open.Attempts, Outcome: outcome.Kind, At: now, Detail: outcome.Detail}
	if len(outcome.Balances) > 0 {
		settled.AnsweredAsOf = started
	}
	effects := outbox.Effects{
		Guard:   settled,
		Rows:    books.AnsweredBalances(open.AppUserID, outcome.Balances, started),
		Touches: []string{books.PlayerKey(open.AppUserID)},
		Owner:   open.AppUserID,
	}
	if open.Purpose == Charge && outcome.Kind == economy.Insufficient {
		declined := refusedTogether(&effects, turn, outcome, now)
		return effects, progress{settled: ids(declined), bound: len(turn.Spends), refused: len(turn.Spends)}
	}
	for _, spend := range turn.Spends {
		follow(&effects, spend, settle(open.Purpose, spend, outcome, now), now)
	}
	return effects, progress{settled: ids(turn.Spends), bound: len(turn.Spends)}
}
