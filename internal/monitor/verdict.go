package monitor

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/internal/budget"
)

// Tone says how it stands, in a word.
type Tone string

// The tones.
const (
	Good    Tone = "good"
	Working Tone = "working" // it goes on by itself, or somebody wanted it so
	Bad     Tone = "bad"     // somebody has to look
)

// Verdict is what to make of a snapshot: the first thing to read. The console and the
// command line show this one, and each alert that is told by the same numbers names a
// remark, so that they agree.
type Verdict struct {
	Tone    Tone     `json:"tone"`
	Title   string   `json:"title"`
	Remarks []Remark `json:"remarks"` // what is bad comes first
}

// Remark is one thing to know.
type Remark struct {
	Tag     string `json:"tag"` // what it is about, in capitals
	Bad     bool   `json:"bad"` // somebody has to look; otherwise it is good to know
	Text    string `json:"text"`
	Page    string `json:"page,omitempty"`    // of the console, that shows it
	Command string `json:"command,omitempty"` // that mends it, or shows what will
	Alert   string `json:"alert,omitempty"`   // that tells of it; docs/operations.md has an entry of that name
}

// The bounds at which there is something to know. Those of alerts are in
// deploy/prometheus/sluice.rules.yml, too; a test compares them.
const (
	// slowAfter is the age from which unfinished work is worth a line.
	slowAfter = time.Minute
	// behindLive, behindStore and behindBulk are the ages at which a lane is behind.
	behindLive  = time.Minute
	behindStore = 15 * time.Minute
	behindBulk  = 6 * time.Hour
	// slowLive is the same where a player waits: a hop takes milliseconds.
	slowLive = 15 * time.Second
	// unknownAfter is how long an unanswered call is asked again every few seconds, which
	// mostly settles it; unknownLong is after how long nothing but a person will.
	unknownAfter = 5 * time.Minute
	unknownLong  = time.Hour
	// stuckAfter is how long somebody may have paid and have neither item nor gems.
	stuckAfter = 30 * time.Minute
	// auditAfter is how long the books may go without an audit of what changed.
	auditAfter = 10 * time.Minute
	// pausedLong is after how long a pause may have been forgotten.
	pausedLong = 4 * time.Hour
)

// remarks gathers what there is to know.
type remarks struct{ bad, working []Remark }

func (r *remarks) add(bad bool, remark Remark) {
	if remark.Bad = bad; bad {
		r.bad = append(r.bad, remark)
	} else {
		r.working = append(r.working, remark)
	}
}

// Judge says what a person should know of a snapshot, what is worst first.
func Judge(s Snapshot) Verdict {
	var r remarks
	if !s.Reachable.PostgreSQL {
		r.add(true, Remark{Tag: "POSTGRESQL", Alert: "SluiceDatabaseDown", Text: "PostgreSQL does not answer: nothing can be accepted. Bring it back; nothing has to be repaired afterwards."})
	}
	if !s.Reachable.NATS {
		r.add(true, Remark{Tag: "NATS", Alert: "SluiceBrokerDown", Text: "NATS does not answer: what is accepted waits in the outbox. Bring it back, with or without its data."})
	}
	r.money(s)
	r.servers(s)
	r.deliveries(s)
	r.incoming(s)
	r.operators(s)
	v := Verdict{Tone: Good, Title: "Everything works", Remarks: slices.Concat([]Remark{}, r.bad, r.working)}
	switch {
	case len(r.bad) > 0:
		v.Tone, v.Title = Bad, Plural(int64(len(r.bad)), "thing needs attention", "things need attention")
	case len(r.working) > 0:
		v.Tone, v.Title = Working, "Working, with something to know"
	}
	return v
}

// money tells of what may be wrong with somebody's gems.
func (r *remarks) money(s Snapshot) {
	if a := s.Attention; a != nil {
		if a.Unknown > 0 {
			unknown := Remark{
				Tag: "UNKNOWN", Page: "spends?state=attention", Command: "sluice spend show --unknown",
				Text: fmt.Sprintf("%s, the first for %s: nobody knows whether the provider moved the gems.", Plural(a.Unknown, "spend of unknown outcome", "spends of unknown outcome"), took(a.UnknownAge)),
			}
			age := time.Duration(a.UnknownAge)
			if age < unknownAfter {
				unknown.Text += " It is asked again under the same key."
			}
			if age > unknownLong {
				unknown.Alert = "SluiceUnknownCharges"
			}
			r.add(age >= unknownAfter, unknown)
		}
		if a.NeedsOperator > 0 {
			r.add(true, Remark{
				Tag: "OPERATOR", Page: "spends?state=attention", Command: "sluice spend show --attention", Alert: "SluiceNeedsOperator",
				Text: Plural(a.NeedsOperator, "spend needs", "spends need") + " a person to decide.",
			})
		}
	}
	if b := s.Books; b != nil {
		if b.Findings > 0 {
			r.add(true, Remark{
				Tag: "BOOKS", Page: "reconciliation", Command: "sluice audit", Alert: "SluiceBooksDoNotBalance",
				Text: fmt.Sprintf("The books do not balance: the audit has %s.", Plural(b.Findings, "finding", "findings")),
			})
		}
		for _, d := range b.Drift {
			r.add(true, Remark{
				Tag: "DRIFT", Page: "reconciliation", Command: "sluice reconcile", Alert: "SluiceDrift",
				Text: fmt.Sprintf("RevenueCat's balances of %s differ from our ledger by %s %s.", Plural(d.Players, "customer", "customers"), Number(d.Units), d.Currency),
			})
		}
		if b.audited && time.Duration(b.AuditAge) > auditAfter {
			r.add(true, Remark{
				Tag: "AUDIT", Page: "reconciliation", Command: "sluice audit", Alert: "SluiceAuditStands",
				Text: fmt.Sprintf("The books have not been audited for %s. Does sluice work run?", took(b.AuditAge)),
			})
		}
	}
	for _, open := range s.Open {
		if open.Spends == 0 || time.Duration(open.OldestAge) <= stuckAfter {
			continue
		}
		text, command := "Somebody paid and does not have the item", "sluice handover show"
		switch open.State {
		case "refunding":
			text, command = "A cost is to be given back and is not", "sluice spend show --attention"
		case "requested":
			continue // nobody paid yet; adjust is behind
		}
		r.add(true, Remark{
			Tag: "STUCK", Page: "spends?state=" + open.State, Command: command, Alert: "SluiceSpendsStuck",
			Text: fmt.Sprintf("%s: %s, the first accepted %s ago.", text, Plural(open.Spends, "spend is "+open.State, "spends are "+open.State), took(open.OldestAge)),
		})
	}
}

// servers tells of RevenueCat and of the game's own servers.
func (r *remarks) servers(s Snapshot) {
	if p := s.Provider; p != nil {
		if p.Circuit != "" && p.Circuit != budget.CircuitClosed {
			r.add(true, Remark{
				Tag: "CIRCUIT", Page: "spends?state=requested", Command: "sluice lag --watch", Alert: "SluiceProviderDown",
				Text: fmt.Sprintf("RevenueCat does not answer as it should (%s), so calls are held back: the circuit is %s, the next one is tried in %s. What waits goes on by itself.",
					p.CircuitReason, p.Circuit, took(p.ProbeIn)),
			})
		}
		for _, b := range p.Budgets {
			if b.ToldToWait > 0 && p.Waiting > 0 {
				r.add(false, Remark{Tag: "TOLD TO WAIT", Text: fmt.Sprintf("RevenueCat told us to wait %s more.", took(b.ToldToWait))})
			}
		}
		if time.Duration(p.ETA) >= slowAfter {
			r.add(false, Remark{
				Tag: "BACKLOG", Page: "spends?state=requested", Alert: "SluiceProviderBacklog",
				Text: fmt.Sprintf("%s for the provider's limit, about %s.", Plural(p.Waiting, "call waits", "calls wait"), took(p.ETA)),
			})
		}
	}
	for _, e := range s.Endpoints {
		r.endpoint(e)
	}
}

func (r *remarks) endpoint(e Endpoint) {
	waits, heard := "nothing waits for it", ""
	if e.Waiting() > 0 {
		waits = fmt.Sprintf("%s for it, the first for %s", Plural(e.Waiting(), "spend waits", "spends wait"), took(e.OldestAge))
	}
	if e.LastError != "" {
		heard = ". It said last: " + e.LastError
	}
	remark := Remark{Tag: "ENDPOINT", Page: "handover?endpoint=" + e.Name, Command: "sluice handover show " + e.Name}
	switch {
	case e.Down():
		remark.Alert = "SluiceHandoverDown"
		remark.Text = fmt.Sprintf("The game's server %q has not answered as it should for %s: %s failed in a row, its circuit is %s; %s%s.",
			e.Name, took(e.TroubleAge), Plural(e.Failures, "request", "requests"), e.Circuit, waits, heard)
		r.add(true, remark)
	case e.Waiting() > 0 && (time.Duration(e.OldestAge) >= slowLive || e.LastError != ""):
		remark.Text = fmt.Sprintf("The game's server %q: %s%s.", e.Name, waits, heard)
		r.add(false, remark)
	}
}
