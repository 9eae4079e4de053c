package main

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// runRole runs a role until it ends. When a signal asked for that, the last line of
// the log says how long it took, and what it had to cut if it did; and a start that the signal broke off is no error.
func runRole(ctx context.Context, log *slog.Logger, name string, role func(context.Context) error) error {
	var asked time.Time
	stopped := onStop(ctx, func() { asked = time.Now() })
	err := role(ctx)
	stopped()
	ctx = context.WithoutCancel(ctx)
	switch {
	case asked.IsZero():
		return err
	case errors.Is(err, context.Canceled):
		log.InfoContext(ctx, "stopped before it was ready", "role", name)
	case err != nil:
		log.ErrorContext(ctx, "stopped, but not in order", "role", name, "duration_ms", time.Since(asked).Milliseconds(), "error", err)
		return err
	default:
		log.InfoContext(ctx, "stopped", "role", name, "duration_ms", time.Since(asked).Milliseconds())
	}
	return nil
}

// onStop calls do when ctx ends. Call what it returns at the end: do is not called
// after that, and if it was, it is over.
func onStop(ctx context.Context, do func()) (end func()) {
	called := make(chan struct{})
	forget := context.AfterFunc(ctx, func() { defer close(called); do() })
	return func() {
		if !forget() {
			<-called
		}
	}
}
