package monitor

import (
	"fmt"
	"strings"
	"time"
)

// waitingPages are where the console shows what waits for a consumer.
var waitingPages = map[string]string{
	"adjust": "spends?state=requested", "fulfil": "spends?state=charged", "compensate": "spends?state=refunding",
	"access": "webhooks", "mirror": "webhooks",
}

// deliveries tells of what is not worked on, or slowly, or was set aside.
func (r *remarks) deliveries(s Snapshot) {
	for _, letters := range s.DeadLetters {
		if letters.Open > 0 {
			r.add(true, Remark{
				Tag: "DEAD LETTERS", Page: "deadletters?consumer=" + letters.Consumer, Command: "sluice deadletter list --consumer " + letters.Consumer, Alert: "SluiceDeadLetters",
				Text: Plural(letters.Open, "dead letter", "dead letters") + " of " + letters.Consumer + ".",
			})
		}
	}
	for _, lag := range s.Consumers {
		r.consumer(lag)
	}
	if o := s.Outbox; o != nil && o.Overdue > 0 && time.Duration(o.OverdueAge) >= StalledAfter {
		r.add(true, Remark{
			Tag: "OVERDUE", Command: "sluice relay", Alert: "SluiceOutboxNotSwept",
			Text: fmt.Sprintf("%s published, the first %s ago. Does a sluice relay run?",
				Plural(o.Overdue, "parked delivery should have been", "parked deliveries should have been"), took(o.OverdueAge)),
		})
	}
}

func (r *remarks) consumer(lag Lag) {
	who := lag.Consumer + " (" + lag.Lane + ")"
	remark := Remark{Page: waitingPages[lag.Consumer]}
	switch age := time.Duration(lag.OldestAge); {
	case lag.Error != "":
		remark.Tag, remark.Text, remark.Alert = "CONSUMER", who+": its lag is not known: "+lag.Error+".", "SluiceBrokerDown"
		r.add(true, remark)
	case lag.Paused: // a line of its own
	case lag.StandsStill():
		remark.Tag, remark.Command, remark.Alert = "STALLED", "sluice work --only "+lag.Consumer, "SluiceConsumerStalled"
		remark.Text = fmt.Sprintf("%s stands still: messages wait, and none was handed out for %s. Does a sluice work run it?", who, took(lag.Stalled))
		r.add(true, remark)
	case age >= slowAfter, age >= slowLive && lag.Lane == "live":
		remark.Tag, remark.Command = "BEHIND", "sluice lag --partitions"
		remark.Text = fmt.Sprintf("%s is behind: its oldest delivery is %s old.%s", who, took(lag.OldestAge), lag.heard())
		late := lag.late()
		if late {
			remark.Alert = "SluiceConsumerBehind"
		}
		r.add(late, remark)
	}
}

// heard says what the work that waits failed with; empty: nobody knows, or another
// remark says it.
func (l Lag) heard() string {
	if l.LastError == "" || strings.HasPrefix(l.LastError, "endpoint ") {
		return ""
	}
	return " What waits heard: " + strings.TrimSuffix(l.LastError, ".") + "."
}

// StandsStill reports whether messages wait that nobody takes, although nobody paused it.
func (l Lag) StandsStill() bool { return time.Duration(l.Stalled) >= StalledAfter && !l.Paused }

// late reports whether the consumer is further behind than its lane may be.
func (l Lag) late() bool {
	bounds := map[string]time.Duration{"live": behindLive, "store": behindStore, "bulk": behindBulk}
	return time.Duration(l.OldestAge) > bounds[l.Lane]
}

// incoming tells of what the stores told, or did not.
func (r *remarks) incoming(s Snapshot) {
	if w := s.Webhooks; w != nil {
		for _, gap := range w.Suspect {
			r.add(true, Remark{Tag: "SUSPECT", Page: "webhooks", Command: gap.Command, Alert: "SluiceWebhooksMayBeMissing", Text: gap.Gap.String() + "."})
		}
	}
	if p := s.Purchases; p != nil {
		if p.UnknownProduct > 0 {
			r.add(true, Remark{
				Tag: "UNKNOWN PRODUCT", Page: "purchases", Alert: "SluiceUnknownProduct",
				Text: Plural(p.UnknownProduct, "purchase is of a product", "purchases are of products") + " that no catalogue has: add it to a package of the catalogue.",
			})
		}
		if p.Conflicts > 0 {
			r.add(true, Remark{
				Tag: "CONFLICTS", Page: "players", Command: "sluice resync PLAYER", Alert: "SluiceCustomerConflicts",
				Text: "In " + Plural(p.Conflicts, "customer", "customers") + " the histories of several players met; customer_conflicts names them.",
			})
		}
	}
}

// operators tells of what people wanted so.
func (r *remarks) operators(s Snapshot) {
	for _, pause := range s.Pauses {
		remark := Remark{
			Tag: "PAUSED", Page: "pauses", Command: fmt.Sprintf("sluice resume %s %s --reason TEXT", pause.Scope, pause.Name),
			Text: fmt.Sprintf("Paused: %s %s, by %s, %s ago.", pause.Scope, pause.Name, pause.Who, took(pause.Age)),
		}
		long := time.Duration(pause.Age) > pausedLong
		if long {
			remark.Alert = "SluicePausedForLong"
		}
		r.add(long, remark)
	}
	if a := s.Attention; a != nil && a.Held > 0 {
		r.add(false, Remark{
			Tag: "HELD", Page: "spends?state=attention", Command: "sluice spend show --attention",
			Text: Plural(a.Held, "spend is", "spends are") + " held by an operator.",
		})
	}
}
