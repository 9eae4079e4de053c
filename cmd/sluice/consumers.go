package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/access"
	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/consumers/mirror"
	"github.com/sluice-gems/sluice/consumers/resync"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/broker"
)

// listed is a consumer: what it is to the rest of the system, and how a process
// makes one.
type listed struct {
	spec  consumers.Spec
	build func(*process, *adjustments.Teller) consumers.Consumer
}

// list is the list of consumers. Whom the outbox owes an event, which durables
// exist, what the sweeper watches, what lag shows and what work runs all derive
// from it.
var list = []listed{
	{adjust.Spec, func(p *process, t *adjustments.Teller) consumers.Consumer {
		return adjust.Consumer{Teller: t, Spends: p.spends}
	}},
	{fulfil.Spec, func(p *process, _ *adjustments.Teller) consumers.Consumer {
		return fulfil.Consumer{
			Spends: p.spends, Catalogs: p.catalogs, Endpoints: p.endpoints, Patience: p.config.HandOver.Patience, Now: clock,
		}
	}},
	{compensate.Spec, func(p *process, t *adjustments.Teller) consumers.Consumer {
		return compensate.Consumer{
			Teller: t, Spends: p.spends, Catalogs: p.catalogs, Endpoints: p.endpoints, Committer: p.committer, Now: clock,
		}
	}},
	{access.Spec, newAccess},
	{mirror.Spec, newMirror},
	{resync.Spec, newResync},
}

// specs are the Specs of the list.
var specs = specsOf(list)

func specsOf(list []listed) []consumers.Spec {
	specs := make([]consumers.Spec, len(list))
	for i, entry := range list {
		specs[i] = entry.spec
	}
	return specs
}

// requireKnown refuses a choice of consumers that names one which is not listed:
// a typo would otherwise leave a consumer without anybody who runs it.
func requireKnown(only []string) error {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return exitError{fmt.Errorf("no consumer is called %q; there are %s", name, strings.Join(names, ", ")), exitBadUsage}
		}
	}
	return nil
}

// durables are the specs' places in the stream.
func durables(specs []consumers.Spec) []broker.Durable {
	var places []broker.Durable
	for _, spec := range specs {
		for _, lane := range spec.Lanes {
			places = append(places, durable(spec, lane))
		}
	}
	return places
}

func durable(spec consumers.Spec, lane events.Lane) broker.Durable {
	return broker.Durable{Consumer: spec.Name, Lane: lane, Types: spec.Types, AckWait: consumers.AckWait, MaxInFlight: spec.Concurrency}
}

// subscriber returns where a spec's messages of a lane come from. concurrency is
// how many deliveries of a lane this process has in hand at most; 0: as the spec
// says. room is how many more a consumer may have, whatever that is. drain is how long
// they may go on at a stop.
func subscriber(conn *broker.Conn, concurrency int, room func(consumers.Spec) int, drain time.Duration) func(consumers.Spec, events.Lane) (message.Subscriber, string, error) {
	return func(spec consumers.Spec, lane events.Lane) (message.Subscriber, string, error) {
		d := durable(spec, lane)
		d.MaxInFlight = cmp.Or(concurrency, d.MaxInFlight, consumers.ConcurrencyDefault) + room(spec)
		sub, err := broker.NewSubscriber(conn, d, broker.SubscriberConfig{DrainTimeout: drain})
		return sub, d.Name(), err
	}
}

// consumersCommand lists the consumers.
type consumersCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the table.
func (c consumersCommand) Run(_ context.Context, io stdio) error {
	if c.JSON {
		rows := make([]map[string]any, len(specs))
		for i, spec := range specs {
			rows[i] = map[string]any{"consumer": spec.Name, "lanes": spec.Lanes, "events": spec.Types}
		}
		return printJSON(io, map[string]any{"consumers": rows})
	}
	w := table(io, "CONSUMER\tLANES\tEVENTS")
	for _, spec := range specs {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", spec.Name, commas(spec.Lanes), commas(spec.Types))
	}
	return w.Flush()
}
