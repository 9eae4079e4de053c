package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/internal/serving"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// drainPatience bounds the wait for requests in hand at a stop, after the grace.
const drainPatience = serving.PatienceDefault

// endpoint is an HTTP server of ours. What is not marked optional is required.
type endpoint struct {
	addr    string
	setting string // what sets addr, such as SLUICE_HTTP_ADDR, for errors
	handler http.Handler
	log     *slog.Logger

	grace time.Duration  // optional: how long a stop goes on taking new connections
	ready func(net.Addr) // optional: requests are answered from now on
	begin func()         // optional: the stop begins
	last  func()         // optional: nobody new comes any more
	quiet bool           // optional: its stop is not worth a line
}

// listen serves until ctx ends, then drains: the requests in hand are answered.
func listen(ctx context.Context, e endpoint) error {
	socket, err := listenOn(ctx, e.addr, e.setting)
	if err != nil {
		return err
	}
	if e.ready != nil {
		e.ready(socket.Addr())
	}
	err = serving.Run(ctx, socket, serving.Config{
		Server: spendapi.NewServer(e.addr, e.handler, e.log), Grace: e.grace, Patience: drainPatience,
		Begin: func(left serving.Left) {
			if e.begin != nil {
				e.begin()
			}
			if e.grace > 0 {
				e.say(ctx, "stopping: load balancers take us off their lists", left, "grace_ms", e.grace.Milliseconds())
			}
		},
		Close: func(left serving.Left) {
			if e.last != nil {
				e.last()
			}
			e.say(ctx, "stopping: requests in hand are answered", left)
		},
	})
	if err != nil {
		return fmt.Errorf("serve %s: %w", e.addr, err)
	}
	return nil
}

func (e endpoint) say(ctx context.Context, what string, left serving.Left, more ...any) {
	if !e.quiet {
		e.log.InfoContext(context.WithoutCancel(ctx), what, append(more, "requests", left.Requests, "connections", left.Connections)...) //nolint:sloglint // what is one of two constants
	}
}
