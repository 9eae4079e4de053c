package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// Judge says what becomes of a webhook's body, as the intake of webhooks does;
// rcwebhook.Policy.Judge is one.
type Judge func(body []byte) (received purchases.Received, tell func(webhookID string, receivedAt time.Time) []events.Event, err error)

// webhook is one webhook of an archive, judged.
type webhook struct {
	received purchases.Received
	tells    []events.Event
}

// The remedies for lines that are not taken.
const (
	remedyLine = "write one event per line, as RevenueCat sent it or sluice backfill export wrote it, such as with jq -c . FILE"
	remedyBody = "look at the line; everything else of the file is taken"
)

// hopeless is how many lines at the start of a file may be no webhooks before nobody
// believes that the file is an archive.
const hopeless = 100

// archive reads a file of webhooks.
type archive struct {
	*exports.LineReader
	judge  Judge
	filter Filter
	now    func() time.Time
	url    string
	bytes  int
	good   bool // a line was a webhook, or the start of the file was read before
}

func openArchive(ctx context.Context, file exports.File, from int64, filter Filter, judge Judge, now func() time.Time) (*archive, error) {
	if judge == nil {
		return nil, errors.New("backfill: Engine.Judge is missing")
	}
	r, err := exports.OpenLines(ctx, file, exports.Options{FromRow: from})
	if err != nil {
		return nil, err
	}
	return &archive{LineReader: r, judge: judge, filter: filter, now: now, url: file.URL, good: from > 0}, nil
}

func (*archive) Warnings() []string { return nil }

func (a *archive) size() int { return a.bytes }

func (a *archive) next() (said webhook, skip bool, err error) {
	line, err := a.Next()
	if err == nil {
		a.bytes = len(line)
		said, skip, err = a.read(line)
	}
	if _, isRow := errors.AsType[*exports.RowError](err); isRow && !a.good && a.Row() >= hopeless {
		err = &exports.FileError{
			File: a.url, Line: a.Line(), Reason: fmt.Sprintf("none of its first %d lines is a webhook", hopeless), Remedy: remedyLine,
		}
	}
	return said, skip, err
}

func (a *archive) read(line []byte) (webhook, bool, error) {
	archived, err := ParseArchived(line)
	if err != nil {
		return webhook{}, false, a.Reject(err.Error(), remedyLine)
	}
	received, tell, err := a.judge(archived.Body)
	if err != nil {
		return webhook{}, false, a.Reject(err.Error(), remedyBody)
	}
	a.good = true
	if a.leavesOut(received, archived.Body) {
		return webhook{}, true, nil
	}
	at := archived.ReceivedAt
	if at.IsZero() { // nobody told when it came: when it happened is near it
		at = received.EventAt
	}
	if now := a.now(); at.IsZero() || at.After(now) {
		at = now
	}
	if archived.Headers == nil {
		archived.Headers = map[string]string{}
	}
	received.ID, received.Headers, received.ReceivedAt = outbox.NewID(), archived.Headers, at.UTC().Truncate(time.Microsecond)
	w := webhook{received: received, tells: tell(received.ID, received.ReceivedAt)}
	for i := range w.tells {
		w.tells[i].Lane = events.Bulk
	}
	return w, false, nil
}

// leavesOut reports whether an event is not wanted. Whom it names is looked for only when
// that matters.
func (a *archive) leavesOut(received purchases.Received, body []byte) bool {
	var event webhooks.Event
	if len(a.filter.Players) > 0 {
		event, _ = webhooks.Parse(body) // it was judged to be one
	}
	return a.filter.leavesOut(received.EventAt, received.Type, event.AppUserID, event.Named)
}

// takeWebhooks keeps webhooks as the intake does: each with what it owes, unless its
// event is known.
func (s *session) takeWebhooks(ctx context.Context, tx *sqlx.Tx, said []webhook) (tally, error) {
	list := make([]outbox.Effects, len(said))
	for i, w := range said {
		list[i] = outbox.Effects{Guard: w.received, Events: w.tells, Intake: true, Owner: w.received.EventKey}
	}
	results, err := outbox.Within(ctx, tx, s.Subscriptions, list)
	if err != nil {
		return tally{}, err
	}
	var n tally
	for i, result := range results {
		if result != outbox.Applied {
			n.known++
			continue
		}
		n.fresh++
		n.owed += len(list[i].Events)
		if said[i].received.Verdict != purchases.Accepted {
			n.apart++
		}
	}
	return n, nil
}
