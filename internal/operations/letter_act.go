package operations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// RetryLetter puts a dead letter's event back as owed, in the commit that marks it as
// retried: its consumer gets it again within about two seconds. Errors: ErrNotFound;
// *RefusedError when it was retried or resolved before, or is no event: edit it.
func (d *Desk) RetryLetter(ctx context.Context, who Who, reason string, key LetterKey) error {
	return d.onLetter(ctx, who, reason, key, d.retry)
}

// ResolveLetter marks a dead letter as done with: nobody is owed its event any more.
// The reason is its note. Errors: ErrNotFound; *RefusedError when it was retried or
// resolved before, or when a spend waits for it that nothing else would end.
func (d *Desk) ResolveLetter(ctx context.Context, who Who, reason string, key LetterKey) error {
	return d.onLetter(ctx, who, reason, key, d.resolve)
}

// letterAct is what is done to one open letter.
type letterAct func(ctx context.Context, who Who, reason string, l Letter) error

func (d *Desk) onLetter(ctx context.Context, who Who, reason string, key LetterKey, act letterAct) error {
	if err := told(who, reason); err != nil {
		return err
	}
	l, err := d.Letter(ctx, key)
	if err != nil {
		return err
	}
	return act(ctx, who, reason, l)
}

func (d *Desk) retry(ctx context.Context, who Who, reason string, l Letter) error {
	if !l.ResolvedAt.IsZero() {
		return refused("dead letter %s was retried or resolved before", l.LetterKey)
	}
	event, err := events.Decode(l.Payload)
	switch {
	case err != nil:
	case event.ID != l.EventID: // its delivery would never end
		err = fmt.Errorf("it calls itself %q", event.ID)
	case !onItsLane(event):
		err = fmt.Errorf("nobody takes a %s on the lane %q", event.Type, event.Lane)
	}
	if err != nil {
		return refused("dead letter %s is no event and would die again (%v): edit it, or resolve it", l.LetterKey, err)
	}
	guard := retried{key: l.LetterKey, event: event, resolution: said("retried", who, reason)}
	after := l.side()
	after["resolution"], after["retries"] = guard.resolution, l.Retries+1
	return d.commitLetter(ctx, guard, d.act(who, reason, DeedRetryLetter, l.String(), l.Player, l.side(), after))
}

// awaited is the state of a spend that only the delivery to a consumer ends.
var awaited = map[string]economy.State{"adjust": economy.Requested, "fulfil": economy.Charged, "compensate": economy.Refunding}

func (d *Desk) resolve(ctx context.Context, who Who, reason string, l Letter) error {
	if err := d.leavesNoSpend(ctx, l.LetterKey); err != nil {
		return err
	}
	guard := resolved{key: l.LetterKey, resolution: said("resolved", who, reason)}
	after := l.side()
	after["resolution"] = guard.resolution
	return d.commitLetter(ctx, guard, d.act(who, reason, DeedResolveLetter, l.String(), l.Player, l.side(), after))
}

// leavesNoSpend refuses to drop what a spend waits for.
func (d *Desk) leavesNoSpend(ctx context.Context, key LetterKey) error {
	spendID, _, _ := strings.Cut(key.EventID, ".")
	state, ok := awaited[key.Consumer]
	if !ok || !isUUID(spendID) {
		return nil
	}
	var waits bool
	err := d.DB.GetContext(ctx, &waits, "SELECT EXISTS (SELECT FROM spends WHERE id = $1 AND state = $2)", spendID, string(state))
	if err != nil {
		return fmt.Errorf("read spend %s: %w", spendID, err)
	}
	if waits {
		return refused("spend %[1]s is %[2]s, and nothing would end it: retry the delivery (edit it, when it is no event), or end the spend first; see sluice spend show %[1]s",
			spendID, state)
	}
	return nil
}

func said(what string, who Who, reason string) string {
	return what + " by " + who.Name + ": " + reason
}

func (d *Desk) commitLetter(ctx context.Context, guard outbox.GuardRow, act actRow) error {
	switch result, err := d.Committer.Commit(ctx, outbox.Effects{Guard: guard, Rows: []outbox.Row{act}}); {
	case err != nil:
		return fmt.Errorf("%s of %s: %w", act.Deed, act.Subject, err)
	case result != outbox.Applied:
		return refused("dead letter %s was retried or resolved before", act.Subject)
	}
	return nil
}

// Many says what an act on many did.
type Many struct {
	Done    int `json:"done"`
	Refused int `json:"refused"` // somebody else was faster, or it cannot be done to them
}

// RetryLetters retries all that a filter chooses, each by an act of its own. After an
// error the others may be retried by the same call again.
func (d *Desk) RetryLetters(ctx context.Context, who Who, reason string, f LetterFilter) (Many, error) {
	return d.onLetters(ctx, who, reason, f, d.retry)
}

// ResolveLetters resolves all that a filter chooses, each by an act of its own.
func (d *Desk) ResolveLetters(ctx context.Context, who Who, reason string, f LetterFilter) (Many, error) {
	return d.onLetters(ctx, who, reason, f, d.resolve)
}

const (
	// manyPage is how many letters are read at once.
	manyPage = 500
	// manyAtOnce is how many acts wait for one commit together.
	manyAtOnce = 64
)

// onLetters acts on the letters that are open now, page by page in the order of their
// keys: what dies again meanwhile is not met twice.
func (d *Desk) onLetters(ctx context.Context, who Who, reason string, f LetterFilter, act letterAct) (Many, error) {
	if err := told(who, reason); err != nil {
		return Many{}, err
	}
	if f.Resolved {
		return Many{}, badInput("what was retried or resolved before is done with")
	}
	var many Many
	var after LetterKey
	for {
		q, err := f.query("SELECT " + letterColumns + " FROM dead_letters")
		if err != nil {
			return many, err
		}
		q.and("(event_id, consumer) > (?, ?)", after.EventID, after.Consumer)
		page, err := d.letters(ctx, q.text()+q.add(" ORDER BY event_id, consumer LIMIT ?", manyPage), q.args...)
		if err != nil || len(page) == 0 {
			return many, err
		}
		done, err := d.onPage(ctx, who, reason, page, act)
		many.Done, many.Refused = many.Done+done.Done, many.Refused+done.Refused
		if err != nil {
			return many, err
		}
		after = page[len(page)-1].LetterKey
	}
}

func (d *Desk) onPage(ctx context.Context, who Who, reason string, page []Letter, act letterAct) (Many, error) {
	errs := make([]error, len(page))
	var group errgroup.Group
	group.SetLimit(manyAtOnce)
	for i, l := range page {
		group.Go(func() error {
			errs[i] = act(ctx, who, reason, l)
			return nil
		})
	}
	_ = group.Wait()
	return tally(errs)
}

// tally counts what became of many acts; an error that is no refusal is returned.
func tally(errs []error) (Many, error) {
	var many Many
	var failed error
	for _, err := range errs {
		if err == nil {
			many.Done++
		} else if _, refused := errors.AsType[*RefusedError](err); refused {
			many.Refused++
		} else if failed == nil {
			failed = err
		}
	}
	return many, failed
}
