package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/bench/load"
)

// Load is what is asked of a site.
type Load struct {
	Clients int     // connections; in a closed loop each waits for its answer
	Rate    float64 // arrivals a second of an open loop; 0: a closed loop
	Poisson bool    // arrivals of an open loop at random times
	Players int
	Item    string
	Prefer  string // such as wait=10; "": respond-async
	WarmUp  time.Duration
	For     time.Duration
}

// Config says what is measured and with what.
type Config struct {
	Site *Site
	Load Load
	// Players' names begin with it; it names one measurement of a site.
	Label string
	// Sign makes a session for a player; nil: Server's key asks for them.
	Sign   func(player string) (string, error)
	Server string // key of a game's server, for a site that is not ours; "": none
	// Grant is given to every player of a site that is not ours, by Server; empty: nothing.
	Grant economy.Amounts

	Program string   // sluice, for the process that makes the load
	Env     []string // of that process
	Dir     string   // for files of ours
	// Patience is how long after a load everything may take to be at rest.
	Patience time.Duration
	// DrainWithin is how long what is left when a load stops may take; 0: that is not
	// judged.
	DrainWithin time.Duration
	// Hold keeps a transaction with a snapshot open while a load runs.
	Hold bool
	// Say is told what goes on: a line for a log, or what replaces it on a terminal.
	Say func(line string, passing bool)
}

// startBalance is what a player of a private site begins with: enough for ever.
var startBalance = economy.Amounts{"GEM": 1_000_000_000, "GOLD": 1_000_000_000}

// Bench measures one site.
type Bench struct {
	Config
	callers   []load.Caller
	generator generator
	keys      int // loads so far: each begins its keys with another number

	accepted []answered
	told     int64
	broken   int64
}

// New makes the players and gives them what they spend.
func New(ctx context.Context, c Config) (*Bench, error) {
	b := &Bench{Config: c, generator: generator{c.Program, c.Env, c.Dir}}
	names := make([]string, c.Load.Players)
	for i := range names {
		names[i] = fmt.Sprintf("%s%06d", c.prefix(), i)
		caller := load.Caller{Name: names[i], Token: c.Server}
		if c.Sign != nil {
			var err error
			if caller.Token, err = c.Sign(names[i]); err != nil {
				return nil, err
			}
		}
		b.callers = append(b.callers, caller)
	}
	var err error
	switch {
	case c.Site.Simulator != nil:
		err = c.Site.Simulator.control.give(ctx, names, startBalance)
	case len(c.Grant) > 0:
		err = b.grant(ctx)
	}
	return b, err
}

// prefix begins the names of the players.
func (c Config) prefix() string { return "bench-" + c.Label + "-" }

// String describes the load.
func (l Load) String() string {
	how := fmt.Sprintf("closed loop of %d clients", l.Clients)
	if l.Rate > 0 {
		how = fmt.Sprintf("open loop of %v a second", l.Rate)
		if l.Poisson {
			how += " at random times"
		}
	}
	if l.Prefer != "" {
		how += " with Prefer: " + l.Prefer
	}
	return fmt.Sprintf("%s, %d players, %s, %s after a warm-up of %s", how, l.Players, l.Item, l.For, l.WarmUp)
}

// Finish verifies the books and adds to a report where it was measured, what was
// verified, and what must be known to read it.
func (b *Bench) Finish(ctx context.Context, r *Report) (err error) {
	r.Machine, r.Wrong, r.Missed = Machine(), []string{}, r.Figures.judge(b.DrainWithin)
	if noise := r.Figures.Noise(); noise != "" {
		r.Notes = append(r.Notes, noise)
	}
	if late := r.Figures.Of("sent_late"); late != nil && late.Max > 0 {
		r.Notes = append(r.Notes, "requests that were sent late are measured from when they should have been sent")
	}
	if b.Site.Postgres != nil && inMemory(b.Dir) {
		r.Notes = append(r.Notes, "the site's folder is in memory: a commit costs nothing there; name one on a disk with --dir")
	}
	if b.Site.DB == nil {
		r.Verified = []string{"every accepted spend is final, by the API; the books were not looked at, for want of SLUICE_DATABASE_URL"}
		return nil // askOutcomes has made sure, or failed
	}
	if r.Database, err = serverVersion(ctx, b.Site.DB); err != nil {
		return err
	}
	look := books{
		db: b.Site.DB, players: b.prefix(), accepted: b.accepted, told: b.told, unknown: b.broken,
		alone: b.Site.Postgres != nil, start: startBalance,
	}
	if b.Site.Simulator != nil {
		stats, err := b.Site.Simulator.control.stats(ctx, true)
		if err != nil {
			return err
		}
		look.provider = &stats
	}
	r.Verified, r.Wrong, err = look.verify(ctx)
	return err
}
