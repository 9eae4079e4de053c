package operations_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// dies has the delivery of a resync wish of a player set aside, and returns its key.
func (o *office) dies(t *testing.T, player string) (operations.LetterKey, events.Event) {
	t.Helper()
	wish := events.NewCustomerResyncRequested(events.Store, events.ResyncOperator, outbox.NewID(), player, time.Now())
	return o.letter(t, wish), wish
}

// letter sets an event's delivery aside.
func (o *office) letter(t *testing.T, event events.Event) operations.LetterKey {
	t.Helper()
	payload, err := event.Encode()
	require.NoError(t, err)
	key := operations.LetterKey{EventID: event.ID, Consumer: "resync"}
	_, err = o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.DeadLetter{
		Delivery: outbox.Delivery(key), Lane: event.Lane, Subject: event.Subject(), Payload: payload, Attempts: 1, Error: "a Mistake of ours",
		Type: event.Type, AppUserID: event.AppUserID, Reason: "permanent", Headers: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}})
	require.NoError(t, err)
	return key
}

func TestALetterKeepsWhatAnOperatorWantsToSee(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	wish := events.NewCustomerResyncRequested(events.Store, events.ResyncOperator, "1", "p", time.Now())
	delivery := outbox.Delivery{EventID: wish.ID, Consumer: "resync"}
	_, err := o.committer.Commit(t.Context(), outbox.Effects{Guard: purchases.Wished{AppUserID: "p", At: wish.Time, By: "us"}, Events: []events.Event{wish}})
	require.NoError(t, err)
	for attempt, why := range []string{"first", "second"} {
		_, err = o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.Park{Delivery: delivery, Attempts: attempt + 1, Error: why}})
		require.NoError(t, err)
	}
	// Who is only told to come back later has not failed.
	_, err = o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.Park{Delivery: delivery, Attempts: 2, Error: "not yet"}})
	require.NoError(t, err)
	_, err = o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.Failed{Delivery: delivery, Attempt: 3, Error: "panic: third"}})
	require.NoError(t, err)
	l, err := o.Letter(t.Context(), o.letter(t, wish))
	require.NoError(t, err)
	var failures []string
	for _, f := range l.Failures {
		require.False(t, f.At.IsZero())
		failures = append(failures, f.Error)
	}
	require.Equal(t, []string{"first", "second", "panic: third", "a Mistake of ours"}, failures)
	require.False(t, l.OwedSince.IsZero())
	require.Equal(t, "p", l.Player)
	require.Equal(t, string(events.CustomerResyncRequestedV1), l.Type)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", l.TraceID)
	require.Zero(t, o.count(t, "SELECT count(*) FROM outbox"))
}

func TestARetriedLetterIsOwedAgainOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key, wish := o.dies(t, "p")
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = o.RetryLetter(t.Context(), alice, "it is mended", key) })
	}
	all.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
			continue
		}
		refusedBy(t, err, "before")
	}
	require.Equal(t, 1, done)
	require.Equal(t, 1, o.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 AND consumer = 'resync' AND published_at IS NULL AND due_at <= now()", wish.ID))
	l, err := o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, 1, l.Retries)
	require.Contains(t, l.Resolution, "retried by alice: it is mended")
	require.Equal(t, []operations.Deed{operations.DeedRetryLetter}, o.acts(t, key.String()))

	o.letter(t, wish) // it dies again
	l, err = o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.True(t, l.ResolvedAt.IsZero(), "it is open again")
	require.NoError(t, o.RetryLetter(t.Context(), alice, "once more", key))
	require.Equal(t, 2000, o.count(t, "SELECT republished FROM outbox WHERE event_id = $1", wish.ID), "the broker knows none of the ids to come")
}

func TestAnEditIsKeptBesideWhatArrived(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key, wish := o.dies(t, "p")
	before, err := o.Letter(t.Context(), key)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*events.Event){
		"id":   func(e *events.Event) { e.ID = "another" },
		"type": func(e *events.Event) { e.Type = events.StoreWebhookReceivedV1 },
		"lane": func(e *events.Event) { e.Lane = events.Bulk },
	} {
		spoiled := wish
		spoil(&spoiled)
		payload, err := spoiled.Encode()
		require.NoError(t, err)
		var bad *operations.InputError
		require.ErrorAs(t, o.EditLetter(t.Context(), alice, "a typo", key, payload), &bad, name)
	}
	edited := wish
	edited.AppUserID = "the right one"
	payload, err := edited.Encode()
	require.NoError(t, err)
	require.NoError(t, o.EditLetter(t.Context(), alice, "a typo", key, payload))
	var stored, subject string
	require.NoError(t, o.db.QueryRowx("SELECT payload, subject FROM outbox WHERE event_id = $1", wish.ID).Scan(&stored, &subject))
	require.JSONEq(t, string(payload), stored)
	require.Equal(t, edited.Subject(), subject)
	l, err := o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, before.Payload, l.Original)
	require.Equal(t, payload, l.Payload)

	o.letter(t, edited) // it dies again
	l, err = o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, before.Payload, l.Original, "what arrived first stays")
	edited.AppUserID = "another"
	again, err := edited.Encode()
	require.NoError(t, err)
	require.NoError(t, o.EditLetter(t.Context(), bob, "no, that one", key, again))
	l, err = o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, before.Payload, l.Original)
	require.Equal(t, again, l.Payload)
	acts, err := o.Acts(t.Context(), operations.ActFilter{Subject: key.String()})
	require.NoError(t, err)
	require.Len(t, acts, 2)
	require.Contains(t, string(acts[1].After), "the right one")
}

func TestWhatIsNoEventIsNotRetriedUnedited(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key := operations.LetterKey{EventID: "garbage", Consumer: "resync"}
	_, err := o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.DeadLetter{
		Delivery: outbox.Delivery(key), Payload: []byte{0, 0xff}, Attempts: 1, Error: "no event", Reason: "malformed",
	}})
	require.NoError(t, err)
	refusedBy(t, o.RetryLetter(t.Context(), alice, "try", key), "edit it")
	require.NoError(t, o.ResolveLetter(t.Context(), alice, "a test of ours", key))
	refusedBy(t, o.ResolveLetter(t.Context(), alice, "again", key), "before")
	require.ErrorIs(t, o.ResolveLetter(t.Context(), alice, "what", operations.LetterKey{EventID: "x", Consumer: "y"}), operations.ErrNotFound)
	var bad *operations.InputError
	require.ErrorAs(t, o.RetryLetter(t.Context(), alice, "  ", key), &bad)
}

// What arrived may be anything, and is kept whatever it was.
func TestWhatIsNoEventIsEditedIntoOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key, arrived := operations.LetterKey{EventID: "garbage", Consumer: "resync"}, []byte{0, 0xff}
	_, err := o.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.DeadLetter{
		Delivery: outbox.Delivery(key), Payload: arrived, Attempts: 1, Error: "no event", Reason: "malformed",
	}})
	require.NoError(t, err)
	wish := events.NewCustomerResyncRequested(events.Store, events.ResyncOperator, "1", "p", time.Now())
	wish.ID = key.EventID
	payload, err := wish.Encode()
	require.NoError(t, err)
	var bad *operations.InputError
	for _, lane := range []events.Lane{events.Live, "fast"} {
		elsewhere := wish
		elsewhere.Lane = lane
		nobodys, err := elsewhere.Encode()
		require.NoError(t, err)
		require.ErrorAs(t, o.EditLetter(t.Context(), alice, "a lane that nobody reads", key, nobodys), &bad)
	}
	latin1 := bytes.Replace(payload, []byte(`"p"`), []byte("\"\xe4\""), 1)
	require.NotEqual(t, payload, latin1)
	require.ErrorAs(t, o.EditLetter(t.Context(), alice, "a file of another encoding", key, latin1), &bad)
	require.NoError(t, o.EditLetter(t.Context(), alice, "what it should have been", key, payload))
	l, err := o.Letter(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, arrived, l.Original)
	acts, err := o.Acts(t.Context(), operations.ActFilter{Subject: key.String()})
	require.NoError(t, err)
	require.Len(t, acts, 1)
	require.Contains(t, string(acts[0].Before), `"base64:AP8="`)
	require.Equal(t, []string{string(wish.Type), "store", "p"}, []string{l.Type, l.Lane, l.Player})
	require.Equal(t, 1, o.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 AND lane = 'store'", key.EventID), "the sweeper looks for it there")
}

// An event that is about another spend than its id says would end the delivery of one
// spend by what was done to another.
func TestAnEditStaysWithItsSpend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one, other := events.NewSpendCharged("one", "p", time.Now()), events.NewSpendCharged("other", "p", time.Now())
	key := o.letter(t, one)
	other.ID = one.ID
	payload, err := other.Encode()
	require.NoError(t, err)
	var bad *operations.InputError
	require.ErrorAs(t, o.EditLetter(t.Context(), alice, "a typo", key, payload), &bad)
	require.Contains(t, bad.Why, "spend_id")
	require.Empty(t, o.acts(t, key.String()))
}

func TestManyLettersAreActedOnByFilter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 700 { // more than a page
		o.dies(t, "many")
	}
	o.dies(t, "other")
	filter := operations.LetterFilter{Player: "many", Consumer: "resync", Type: string(events.CustomerResyncRequestedV1), Reason: operations.DiedPermanent, Error: "mistake", Younger: time.Hour}
	counts, err := o.CountLetters(t.Context(), filter)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	require.Equal(t, 700, counts[0].Letters)
	filter.Older = time.Hour
	many, err := o.RetryLetters(t.Context(), alice, "mended", filter)
	require.NoError(t, err)
	require.Zero(t, many)
	filter.Older = 0
	var both sync.WaitGroup
	var done [2]operations.Many
	for i := range done {
		both.Go(func() {
			var err error
			done[i], err = o.RetryLetters(t.Context(), alice, "mended", filter)
			require.NoError(t, errors.Join(err))
		})
	}
	both.Wait()
	require.Equal(t, 700, done[0].Done+done[1].Done)
	require.Equal(t, 700, o.count(t, "SELECT count(*) FROM outbox"))
	require.Equal(t, 700, o.count(t, "SELECT count(*) FROM operator_acts"))
	open, err := o.Letters(t.Context(), operations.LetterFilter{})
	require.NoError(t, err)
	require.Len(t, open, 1)
	resolved, err := o.Letters(t.Context(), operations.LetterFilter{Resolved: true, Limit: 3})
	require.NoError(t, err)
	require.Len(t, resolved, 3)
	_, err = o.Letters(t.Context(), operations.LetterFilter{Reason: "boredom"})
	require.ErrorContains(t, err, strings.Join([]string{"panic", "data", "malformed", "permanent"}, " "))
}

// What is dropped is the only thing that would have ended its spend.
func TestNoLetterIsResolvedWhileASpendWaitsForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.accept(t, "p", "potion", 50)
	key := operations.LetterKey{EventID: events.EventID(events.SpendRequestedV1, s.ID), Consumer: "adjust"}
	_, err := w.committer.Commit(t.Context(), outbox.Effects{Guard: outbox.DeadLetter{
		Delivery: outbox.Delivery(key), Payload: []byte("{}"), Attempts: 1, Error: "no event", Reason: "malformed",
	}})
	require.NoError(t, err)
	refusedBy(t, w.ResolveLetter(t.Context(), alice, "away with it", key), s.ID+" is requested")
	many, err := w.ResolveLetters(t.Context(), alice, "all of them", operations.LetterFilter{})
	require.NoError(t, err)
	require.Equal(t, operations.Many{Refused: 1}, many)
	_, err = w.Cancel(t.Context(), alice, "the player asked", s.ID)
	require.NoError(t, err)
	require.NoError(t, w.ResolveLetter(t.Context(), alice, "its spend was cancelled", key))
	refusedBy(t, w.RetryLetter(t.Context(), alice, "after all", key), "before")
}

func TestTheAuditIsAppendOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key, _ := o.dies(t, "p")
	require.NoError(t, o.ResolveLetter(t.Context(), alice, "seen", key))
	for _, statement := range []string{"UPDATE operator_acts SET who = 'mallory'", "DELETE FROM operator_acts", "TRUNCATE operator_acts"} {
		_, err := o.db.Exec(statement)
		require.ErrorContains(t, err, "append-only", statement)
	}
	require.Equal(t, []operations.Deed{operations.DeedResolveLetter}, o.acts(t, key.String()))
}
