package consumers

import "context"

type againKey struct{}

// Again reports whether what the consumer decided on this delivery a moment ago was
// stale: somebody else was faster. Whoever wanted much at once may want less now.
func Again(ctx context.Context) bool {
	again, _ := ctx.Value(againKey{}).(bool)
	return again
}

// DecidingAgain is the context of a consumer whose effects were stale.
func DecidingAgain(ctx context.Context) context.Context {
	return context.WithValue(ctx, againKey{}, true)
}
