package rcwebhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers"
)

// taken is what became of one request.
type taken struct {
	problem *producers.Problem // nil: 200
	cause   error              // for the log only
	gone    bool               // the sender hung up; problem is set all the same: what was not kept is never 200

	id     string            // of the row; empty: nothing was to be kept
	event  webhooks.Event    // as far as it was read
	kept   purchases.Verdict // as what it is kept
	before bool              // it was kept before
	nobody bool              // it would be acted on if it named anybody
}

// verdict is the word for logs and metrics.
func (t taken) verdict() string {
	switch {
	case t.gone:
		return "client_gone"
	case t.problem != nil && t.kept == "":
		return t.problem.Slug
	case t.before:
		return "duplicate"
	case t.nobody:
		return "about_nobody"
	}
	return string(t.kept)
}

// line is what the request's line in the log says.
func (t taken) line() []slog.Attr {
	var line []slog.Attr
	for _, attr := range []slog.Attr{
		slog.String("webhook_id", t.id), slog.String("event_id", t.event.ID), slog.String("event_type", string(t.event.Type)),
		slog.String("environment", t.event.Environment),
	} {
		if attr.Value.String() != "" {
			line = append(line, attr)
		}
	}
	return line
}

// take reads, proves, parses and keeps a webhook, in this order.
func (in *Intake) take(w http.ResponseWriter, r *http.Request) taken {
	select {
	case in.hand <- struct{}{}:
		defer func() { <-in.hand }()
	default:
		return taken{problem: tooManyInHand()}
	}
	if err := in.proof.header(r.Header); err != nil {
		return in.refused(err)
	}
	body, problem := readBody(w, r)
	if problem != nil {
		return taken{problem: problem, gone: errors.Is(r.Context().Err(), context.Canceled)}
	}
	now := in.now().UTC().Truncate(time.Microsecond) // what PostgreSQL keeps
	if err := in.proof.body(r.Header, body, now); err != nil {
		return in.refused(err)
	}
	in.metrics.authentic(now)
	return in.keep(r, body, now)
}

func (in *Intake) refused(err error) taken {
	in.metrics.refusals.WithLabelValues(string(asRefusal(err))).Inc()
	return taken{problem: notAuthentic(), cause: err}
}

// growMax is what a body may ask for ahead, before a byte of it came: usual ones are smaller.
const growMax = 16 << 10

// readBody reads the whole body, byte for byte.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *producers.Problem) {
	if r.ContentLength > BodyMax {
		return nil, tooLarge()
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), growMax)) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, BodyMax))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, brokenOff()
	}
	return body.Bytes(), nil
}

// keep commits what is authentic: the raw event and what it owes, or the body alone.
func (in *Intake) keep(r *http.Request, body []byte, now time.Time) taken {
	received, event, err := in.policy.judge(body)
	received.ReceivedAt, received.Headers = now, keptHeaders(r.Header)
	if err == nil {
		t := in.keepEvent(r.Context(), received, event)
		if _, refused := errors.AsType[*outbox.DataError](t.cause); !refused {
			return t
		}
		err = fmt.Errorf("PostgreSQL cannot hold it (SQLSTATE %s)", postgres.Code(t.cause)) // its own words may name the player
	}
	received = purchases.Received{
		EventKey: purchases.BodyKey(body), ReceivedAt: now, Verdict: purchases.Undecodable, Error: printable(err.Error()), Headers: received.Headers, Body: received.Body,
	}
	t := in.commit(r.Context(), received, nil)
	if t.problem == nil {
		t.problem, t.cause = notAnEvent("cannot be read as one: "+received.Error), err
		if !t.before {
			in.log.WarnContext(r.Context(), "webhook kept that is no event", "webhook_id", t.id, "error", received.Error)
		}
	}
	return t
}

// errorMax bounds what is kept of an error: it may repeat a part of the body.
const errorMax = 300

// printable returns an error's text as PostgreSQL and a log take it.
func printable(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == utf8.RuneError {
			return '?'
		}
		return c
	}, text)
	for len(text) > errorMax {
		text = strings.ToValidUTF8(text[:errorMax], "")
	}
	return text
}

// keepEvent commits an event and, when we take it, whom it is owed to.
func (in *Intake) keepEvent(ctx context.Context, received purchases.Received, event webhooks.Event) taken {
	t := in.commit(ctx, received, func(id string) []events.Event { return tells(event, received.Verdict, id, received.ReceivedAt) })
	t.event, t.nobody = event, received.Verdict == purchases.Accepted && event.AppUserID == "" && event.Route() != webhooks.RouteNobody
	if event.Type == webhooks.Test && t.problem == nil {
		in.log.InfoContext(ctx, "test webhook arrived: RevenueCat reaches us and is authentic", "webhook_id", t.id, "event_id", event.ID, "environment", event.Environment)
	}
	return t
}

// commit commits a row and what it owes. In the result, kept is set once it is
// durable, by us or by an earlier one.
func (in *Intake) commit(ctx context.Context, received purchases.Received, owed func(webhookID string) []events.Event) taken {
	received.ID = in.newID()
	effects := outbox.Effects{ID: in.newID(), Guard: received, Intake: true, Owner: received.EventKey}
	if owed != nil {
		effects.Events = owed(received.ID)
	}
	select {
	case in.commits <- struct{}{}:
		defer func() { <-in.commits }()
	case <-ctx.Done():
		return failed(ctx, ctx.Err())
	}
	switch result, err := in.committer.Commit(ctx, effects); {
	case err != nil:
		return failed(ctx, err)
	case result == outbox.Duplicate:
		return taken{kept: received.Verdict, before: true}
	case result == outbox.Applied:
		return taken{id: received.ID, kept: received.Verdict}
	default: // the guard knows no other result
		return taken{problem: internal(), cause: errors.New("webhook's commit is " + result.String())}
	}
}

// failed says what a commit's error is to the sender.
func failed(ctx context.Context, err error) taken {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return taken{problem: unavailable(), gone: true}
	case errors.Is(err, outbox.ErrOverloaded):
		return taken{problem: tooManyInHand(), cause: err}
	case errors.Is(err, outbox.ErrUnavailable), errors.Is(err, outbox.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return taken{problem: unavailable(), cause: err}
	}
	return taken{problem: internal(), cause: err}
}

// keptHeaders are the headers worth seeing again. The signature lets one check the
// stored body again, as long as nothing of it is redacted.
func keptHeaders(h http.Header) map[string]string {
	const headerMax = 500
	kept := map[string]string{}
	for _, name := range []string{"Content-Type", "User-Agent", signatureHeader} {
		if value := h.Get(name); value != "" {
			kept[name] = value[:min(len(value), headerMax)]
		}
	}
	return kept
}
