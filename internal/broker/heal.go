package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluice-gems/sluice/events"
)

const (
	healTimeout = 5 * time.Second       // of one attempt
	healWaitMin = 50 * time.Millisecond // before the second attempt, then doubling
	healWaitMax = 5 * time.Second

	// healSettle is how long after something was found missing it is created again.
	// nats-server 2.15.2 announces a deletion before the files are gone: a stream of
	// the same name created meanwhile loses its own and takes no message any more.
	// Seen in one of four wipes under load without this wait; see thaw for the rest.
	healSettle = 250 * time.Millisecond
)

// healer knows what should exist on the server and creates it again.
type healer struct {
	ailing chan struct{} // capacity 1: something is missing
	silent atomic.Bool   // a publish got no answer at all

	mu       sync.Mutex
	durables map[string]Durable // by name
}

// Reconcile creates the stream and the durables, or updates them to what this
// binary declares, and remembers them so that they are created again whenever
// they are found missing. Durables of earlier calls stay remembered. A second
// call, also by another process at the same moment, changes nothing.
//
// An error means that the server did not confirm it all; the Conn goes on trying
// by itself to create what is missing, but not to update what exists.
func (c *Conn) Reconcile(ctx context.Context, durables []Durable) error {
	for _, d := range durables {
		if err := d.valid(); err != nil {
			return err
		}
	}
	c.remember(durables...)
	if err := c.update(ctx); err != nil {
		c.heal()
		return err
	}
	c.eachSubscription((*subscription).resume)
	return nil
}

func (c *Conn) update(ctx context.Context) error {
	if _, err := c.js.CreateOrUpdateStream(ctx, streamConfig(c.replicas)); err != nil {
		return fmt.Errorf("reconcile stream %s: %w", StreamName, err)
	}
	for _, d := range c.remembered() {
		if _, err := c.js.CreateOrUpdateConsumer(ctx, StreamName, d.config(c.replicas)); err != nil {
			return fmt.Errorf("reconcile durable %s: %w", d.Name(), err)
		}
	}
	return nil
}

// create creates what is missing and leaves alone what exists, so that processes
// of two versions do not undo each other's updates.
func (c *Conn) create(ctx context.Context) error {
	_, err := c.js.CreateStream(ctx, streamConfig(c.replicas))
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w", StreamName, err)
	}
	for _, d := range c.remembered() {
		_, err := c.js.CreateConsumer(ctx, StreamName, d.config(c.replicas))
		if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
			return fmt.Errorf("create durable %s: %w", d.Name(), err)
		}
	}
	return nil
}

// Retire deletes a consumer's durables of every lane from the server and forgets
// them. What they had not finished is lost to them. Stop its processes first: one
// that still subscribes creates them again. A second call does nothing.
func (c *Conn) Retire(ctx context.Context, consumer string) error {
	for _, lane := range events.Lanes {
		d := Durable{Consumer: consumer, Lane: lane}
		c.healer.mu.Lock()
		delete(c.healer.durables, d.Name())
		c.healer.mu.Unlock()
		err := c.js.DeleteConsumer(ctx, StreamName, d.Name())
		if err != nil && !missing(err) {
			return fmt.Errorf("retire durable %s: %w", d.Name(), err)
		}
	}
	return nil
}

func (c *Conn) remember(durables ...Durable) {
	c.healer.mu.Lock()
	defer c.healer.mu.Unlock()
	for _, d := range durables {
		c.healer.durables[d.Name()] = d
	}
}

// remembered returns the durables of this Conn by name.
func (c *Conn) remembered() []Durable {
	c.healer.mu.Lock()
	defer c.healer.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.healer.durables), func(a, b Durable) int {
		return strings.Compare(a.Name(), b.Name())
	})
}

// heal asks for what is missing to be created, in the background. It never
// blocks; asking again while it is being done costs one more look afterwards.
func (c *Conn) heal() {
	select {
	case c.healer.ailing <- struct{}{}:
	default:
	}
}

// healing does what heal asks for until ctx ends, one attempt at a time.
func (c *Conn) healing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.healer.ailing:
		}
		if !pause(ctx, healSettle) { // also makes a burst of failed publishes ask once
			return
		}
		for wait := healWaitMin; ; wait = min(2*wait, healWaitMax) {
			err := c.attempt(ctx)
			if err == nil {
				break
			}
			if !c.Connected() {
				break // connected asks again
			}
			if ctx.Err() != nil {
				return
			}
			c.log.WarnContext(ctx, "jetstream is incomplete, trying again", "error", err, "wait", wait)
			if !pause(ctx, wait) {
				return
			}
		}
	}
}

func (c *Conn) attempt(ctx context.Context) error {
	if c.healer.silent.Swap(false) {
		if err := c.thaw(ctx); err != nil {
			c.healer.silent.Store(true)
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	if err := c.create(ctx); err != nil {
		return err
	}
	c.eachSubscription((*subscription).resume)
	return nil
}

// missing reports whether err says that the stream or a durable does not exist.
func missing(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist) ||
		errors.Is(err, jetstream.ErrNoStreamResponse)
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
