package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/producers/spendapi"
)

// drainPatience is how long a server waits for requests in hand when it stops:
// a request that waits for its outcome is answered at once by the drain.
const drainPatience = 20 * time.Second

// listener is what to do around serving; both may be nil.
type listener struct {
	ready func() // the address is ours, requests are answered from now on
	drain func() // no more requests are wanted
}

// listen serves handler on addr until ctx ends, then drains: the requests in
// hand finish.
func listen(ctx context.Context, addr string, handler http.Handler, log *slog.Logger, hooks listener) error {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	server := spendapi.NewServer(addr, handler, log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(socket) }()
	if hooks.ready != nil {
		hooks.ready()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", addr, err)
	case <-ctx.Done():
	}
	if hooks.drain != nil {
		hooks.drain()
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		return fmt.Errorf("drain %s: %w", addr, err)
	}
	return nil
}
