package broker

import (
	"context"
	"fmt"
)

// Wipe deletes the stream with everything in it, as an accident would. It is created
// again by itself, and what it held is owed by the outbox. There being none is no error.
func (c *Conn) Wipe(ctx context.Context) error {
	if err := c.js.DeleteStream(ctx, StreamName); err != nil && !missing(err) {
		return fmt.Errorf("wipe stream %s: %w", StreamName, err)
	}
	return nil
}
