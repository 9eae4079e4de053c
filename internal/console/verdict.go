package console

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// verdict is the first thing to read: what is wrong, or that nothing is.
type verdict struct {
	Tone  string
	Title string
	Lines []verdictLine
}

type verdictLine struct {
	Text, Link, Href string
}

// slowAfter is the age from which unfinished work is worth a line.
const slowAfter = time.Minute

// judge says what a person should look at, worst first.
func judge(shot monitor.Snapshot) verdict {
	var bad, working []verdictLine
	add := func(to *[]verdictLine, link, href, format string, args ...any) {
		*to = append(*to, verdictLine{fmt.Sprintf(format, args...), link, href})
	}
	if !shot.Reachable.PostgreSQL {
		add(&bad, "", "", "PostgreSQL does not answer: nothing can be accepted.")
	}
	if !shot.Reachable.NATS {
		add(&bad, "", "", "NATS does not answer: what is accepted waits in the outbox.")
	}
	var attention monitor.Attention
	if shot.Attention != nil {
		attention = *shot.Attention
	}
	if n := attention.Unknown; n > 0 {
		add(&bad, "Show", "spends?state=attention", "%s: nobody knows whether the provider charged.", plural(n, "spend of unknown outcome", "spends of unknown outcome"))
	}
	if n := attention.NeedsOperator; n > 0 {
		add(&bad, "Show", "spends?state=attention", "%s a person to decide.", plural(n, "spend needs", "spends need"))
	}
	if b := shot.Books; b != nil {
		if b.Findings > 0 {
			add(&bad, "Show", "reconciliation", "The books do not balance: the audit has %s.", plural(b.Findings, "finding", "findings"))
		}
		for _, d := range b.Drift {
			add(&bad, "Show", "reconciliation", "RevenueCat's balances of %s differ from our ledger by %s %s.", plural(d.Players, "customer", "customers"), number(d.Units), d.Currency)
		}
	}
	for _, letters := range shot.DeadLetters {
		if letters.Open > 0 {
			add(&bad, "Show", "deadletters?consumer="+letters.Consumer, "%s of %s.", plural(letters.Open, "dead letter", "dead letters"), letters.Consumer)
		}
	}
	for _, lag := range shot.Consumers {
		who := lag.Consumer + " (" + lag.Lane + ")"
		switch age := time.Duration(lag.OldestAge); {
		case lag.Error != "":
			add(&bad, "", "", "%s: its lag is not known.", who)
		case time.Duration(lag.Stalled) >= monitor.StalledAfter && !lag.Paused:
			add(&bad, "", "", "%s stands still: messages wait, and none was handed out for %s. Does sluice work run?", who, took(time.Duration(lag.Stalled)))
		case age >= slowAfter && !lag.Paused:
			add(&working, "", "", "%s is behind: its oldest delivery is %s old.", who, took(age))
		}
	}
	if o := shot.Outbox; o != nil && o.Overdue > 0 && time.Duration(o.OverdueAge) >= monitor.StalledAfter {
		add(&bad, "", "", "%s published, the first %s ago. Does sluice relay run?",
			plural(o.Overdue, "parked delivery should have been", "parked deliveries should have been"), took(time.Duration(o.OverdueAge)))
	}
	if p := shot.Provider; p != nil {
		if p.Circuit != "" && p.Circuit != budget.CircuitClosed {
			add(&bad, "", "", "RevenueCat does not answer as it should; calls are held back (circuit %s).", p.Circuit)
		}
		if eta := time.Duration(p.ETA); eta >= slowAfter {
			add(&working, "", "", "%s for the provider's limit, about %s.", plural(p.Waiting, "call waits", "calls wait"), took(eta))
		}
	}
	if w := shot.Webhooks; w != nil && len(w.Suspect) > 0 {
		add(&bad, "", "", "Webhooks may be missing: sluice lag tells of when, sluice webhooks makes up for it.")
	}
	for _, pause := range shot.Pauses {
		add(&working, "Pauses", "pauses", "Paused: %s %s, by %s.", pause.Scope, pause.Name, pause.Who)
	}
	if n := attention.Held; n > 0 {
		add(&working, "Show", "spends?state=attention", "%s held by an operator.", plural(n, "spend is", "spends are"))
	}
	v := verdict{Lines: slices.Concat(bad, working)}
	switch {
	case len(bad) > 0:
		v.Tone, v.Title = "bad", plural(len(v.Lines), "thing needs attention", "things need attention")
	case len(working) > 0:
		v.Tone, v.Title = "working", "Working, with something to know"
	default:
		v.Tone, v.Title = "good", "Everything works"
	}
	return v
}
