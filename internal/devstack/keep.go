package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	// restartsMax within restartsWithin is how often a server is started again. One
	// that dies more often does so for a reason that no start mends.
	restartsMax    = 5
	restartsWithin = time.Minute
	// restartWait is the wait before the second start in a row, then doubling: the
	// first is made at once.
	restartWait = 250 * time.Millisecond
)

// Running is a server that was started.
type Running struct {
	Done <-chan struct{}             // closed when it is gone
	Why  func() error                // why it is gone; asked after Done
	Stop func(context.Context) error // ends it in order
}

// Keeper keeps a server running that others rely on.
type Keeper struct {
	name   string
	log    *slog.Logger
	start  func(context.Context) (Running, error)
	wait   time.Duration
	server Running // the latest; the keeping goroutine's own until ended is closed
	gaveUp chan error
	cancel context.CancelFunc
	ended  chan struct{}
}

// Keep watches a server that runs, and calls start whenever it ends by itself,
// until Stop. start brings it back at the same address, with its data; its context
// ends with Stop. name is what the log calls the server.
func Keep(log *slog.Logger, name string, server Running, start func(context.Context) (Running, error)) *Keeper {
	return keep(log, name, server, start, restartWait)
}

func keep(log *slog.Logger, name string, server Running, start func(context.Context) (Running, error), wait time.Duration) *Keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &Keeper{
		name: name, log: log, start: start, wait: wait, server: server,
		gaveUp: make(chan error, 1), cancel: cancel, ended: make(chan struct{}),
	}
	go k.keep(ctx)
	return k
}

// GaveUp receives why the server is not started again, once, when that happens.
func (k *Keeper) GaveUp() <-chan error { return k.gaveUp }

// Stop ends the keeping, and the server in order; ctx is the server's patience. A
// second call stops what is stopped, which the server must bear.
func (k *Keeper) Stop(ctx context.Context) error {
	k.cancel()
	<-k.ended
	return k.server.Stop(ctx)
}

func (k *Keeper) keep(ctx context.Context) {
	defer close(k.ended)
	var starts []time.Time // of late
	for {
		select {
		case <-k.server.Done:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		why := k.server.Why()
		k.log.WarnContext(ctx, "a server has ended by itself: starting it again", "server", k.name, "error", why)
		server, err := k.restart(ctx, &starts, why)
		if err != nil {
			if ctx.Err() == nil {
				k.gaveUp <- err
			}
			return
		}
		k.server = server
	}
}

// restart starts the server until it runs, or too many starts were in vain.
func (k *Keeper) restart(ctx context.Context, starts *[]time.Time, why error) (Running, error) {
	for began := time.Now(); ; {
		for len(*starts) > 0 && time.Since((*starts)[0]) > restartsWithin {
			*starts = (*starts)[1:]
		}
		if len(*starts) == restartsMax {
			return Running{}, fmt.Errorf("%s was started %d times within %s and does not stay: %w", k.name, restartsMax, restartsWithin, why)
		}
		if err := pause(ctx, k.wait, len(*starts)); err != nil {
			return Running{}, err
		}
		*starts = append(*starts, time.Now())
		server, err := k.start(ctx)
		if err == nil {
			k.log.InfoContext(ctx, "the server runs again", "server", k.name, "duration_ms", time.Since(began).Milliseconds())
			return server, nil
		}
		if ctx.Err() != nil {
			return Running{}, errors.Join(ctx.Err(), err)
		}
		why = err
		k.log.WarnContext(ctx, "the server does not start", "server", k.name, "error", err)
	}
}

// pause waits before a start: not at all before the first in a row, then wait,
// doubling.
func pause(ctx context.Context, wait time.Duration, before int) error {
	if before == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait << (before - 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
