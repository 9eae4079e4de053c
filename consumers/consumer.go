package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// Spec says what a consumer is to the rest of the system. Its durable name,
// metrics, lag and dead letters, and for which events the outbox owes it a
// delivery, derive from this.
type Spec struct {
	// Name is the folder's name, and the durable consumer's.
	Name string
	// Types are the events it is owed.
	Types []events.Type
	// Lanes are the lanes it reads, each by a durable consumer of its own.
	Lanes []events.Lane
	// Concurrency is how many deliveries of a lane one process works on at once; 0
	// takes ConcurrencyDefault.
	Concurrency int
	// Retry shapes the waits after failed attempts; zero fields take the defaults.
	Retry RetryPolicy
}

// RetryPolicy shapes the waits between attempts: Min, doubled per attempt, at
// most Max, each give or take a fifth.
type RetryPolicy struct {
	Min time.Duration
	Max time.Duration
}

// The defaults of a Spec.
const (
	// ConcurrencyDefault keeps a provider of 200 ms latency busy at 320 calls a second.
	ConcurrencyDefault = 64
	// AckWait is how long the broker waits for a sign of life before it gives a
	// delivery to another process. Handlers send one at a third of it.
	AckWait = 10 * time.Second
	// RetryMinDefault and RetryMaxDefault bound the waits between attempts.
	// The longest wait is what a spend still waits when the provider is back, and
	// every attempt of it may have failed by bad luck alone.
	RetryMinDefault = 100 * time.Millisecond
	RetryMaxDefault = 10 * time.Second
)

// Consumer turns events into effects.
type Consumer interface {
	Spec() Spec
	// Consume does the foreign work that an event asks for, with no transaction
	// open, and returns what should change. The runner commits it together with the
	// end of the delivery. Zero Effects mean that nothing is left to commit.
	//
	// It is called again for the same event after a crash, a lost message or stale
	// effects, and must then find out by itself what is still to do. An error means
	// try again, unless it is Permanent.
	Consume(ctx context.Context, event events.Event) (outbox.Effects, error)
}

// Spends reads a spend; books.Books does.
type Spends interface {
	Spend(ctx context.Context, id string) (economy.Spend, error)
}

// LoadSpend returns the spend an event is about. An event without one, or about
// one that does not exist, is a Permanent error.
func LoadSpend(ctx context.Context, spends Spends, event events.Event) (economy.Spend, error) {
	id, err := event.SpendID()
	if err != nil {
		return economy.Spend{}, err
	}
	spend, err := spends.Spend(ctx, id)
	if errors.Is(err, books.ErrNotFound) {
		return economy.Spend{}, Permanent(fmt.Errorf("event %s: no such spend", event.ID))
	}
	return spend, err
}

// Subscriptions tells the committer whom it owes which events.
func Subscriptions(specs []Spec) outbox.Subscriptions {
	subscriptions := outbox.Subscriptions{}
	for _, spec := range specs {
		for _, t := range spec.Types {
			subscriptions[t] = append(subscriptions[t], spec.Name)
		}
	}
	return subscriptions
}

// Queues lists what the sweeper watches.
func Queues(specs []Spec) []outbox.Queue {
	var queues []outbox.Queue
	for _, spec := range specs {
		for _, lane := range spec.Lanes {
			queues = append(queues, outbox.Queue{Consumer: spec.Name, Lane: lane})
		}
	}
	return queues
}

// permanentError is an error that trying again cannot mend.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks an error that trying again cannot mend: the delivery becomes a
// dead letter. Money is never given up for a temporary error.
func Permanent(err error) error { return &permanentError{err} }

// IsPermanent reports whether err is marked, or says that the event itself is
// malformed.
func IsPermanent(err error) bool {
	var permanent *permanentError
	return errors.As(err, &permanent) || errors.Is(err, events.ErrMalformed)
}
