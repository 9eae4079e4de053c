package revenuecat

import "context"

type idleKey struct{}

// Idle marks what is asked for within ctx as something that nobody waits for: the
// budget lets its calls start only in what everything else leaves over.
func Idle(ctx context.Context) context.Context { return context.WithValue(ctx, idleKey{}, true) }

// IsIdle reports whether ctx was marked by Idle.
func IsIdle(ctx context.Context) bool { return ctx.Value(idleKey{}) != nil }
