package main

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
)

// specs is the list of consumers. Whom the outbox owes an event, which durables
// exist, what the sweeper watches and what lag shows all derive from it.
var specs = []consumers.Spec{adjust.Spec, fulfil.Spec, compensate.Spec}

// durables are the specs' places in the stream.
func durables(specs []consumers.Spec) []broker.Durable {
	var list []broker.Durable
	for _, spec := range specs {
		for _, lane := range spec.Lanes {
			list = append(list, durable(spec, lane))
		}
	}
	return list
}

func durable(spec consumers.Spec, lane events.Lane) broker.Durable {
	return broker.Durable{Consumer: spec.Name, Lane: lane, Types: spec.Types, AckWait: consumers.AckWait, MaxInFlight: spec.Concurrency}
}

// subscriber returns where a spec's messages of a lane come from. concurrency is
// how many deliveries of a lane this process has in hand at most; 0: as the spec
// says.
func subscriber(conn *broker.Conn, concurrency int) func(consumers.Spec, events.Lane) (message.Subscriber, string, error) {
	return func(spec consumers.Spec, lane events.Lane) (message.Subscriber, string, error) {
		d := durable(spec, lane)
		d.MaxInFlight = cmp.Or(concurrency, d.MaxInFlight)
		sub, err := broker.NewSubscriber(conn, d, broker.SubscriberConfig{})
		return sub, d.Name(), err
	}
}

// consumersCommand lists the consumers.
type consumersCommand struct{}

// Run prints the table.
func (consumersCommand) Run(_ context.Context, io stdio) error {
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CONSUMER\tLANES\tEVENTS")
	for _, spec := range specs {
		_, _ = fmt.Fprintf(w, "%s\t%v\t%v\n", spec.Name, spec.Lanes, spec.Types)
	}
	return w.Flush()
}
