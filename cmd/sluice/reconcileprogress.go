package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/internal/reconcile"
)

// reconcileProgress tells how far a comparison is and what it waits for: on a terminal
// in one line that counts down, elsewhere by a line now and then. Nothing is told while
// nothing is known.
type reconcileProgress struct {
	out      io.Writer
	terminal bool
	stop     chan struct{}
	done     chan struct{}
	once     sync.Once

	mu      sync.Mutex
	players int
	wait    reconcile.Settling
	waited  bool      // a wait was told of
	told    time.Time // of the last line, where there is no terminal
	drawn   bool
}

func newReconcileProgress(io stdio) *reconcileProgress {
	p := &reconcileProgress{out: io.Err, terminal: onTerminal(io.Err), stop: make(chan struct{}), done: make(chan struct{}), told: time.Now()}
	go p.run()
	return p
}

// run counts down.
func (p *reconcileProgress) run() {
	defer close(p.done)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.tell(false)
			p.mu.Unlock()
		}
	}
}

// looked implements reconcile.Runner.Progress.
func (p *reconcileProgress) looked(players int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.players = players
	p.tell(false)
}

// settling implements reconcile.Runner.Settling. The first wait is told at once.
func (p *reconcileProgress) settling(wait reconcile.Settling) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = wait
	first := !p.waited && !wait.Until.IsZero()
	p.waited = p.waited || first
	p.tell(first)
}

// tell draws the line, or writes one when it is time.
func (p *reconcileProgress) tell(now bool) {
	text := p.text(clock())
	if text == "" || !p.terminal && !now && time.Since(p.told) < progressEvery {
		return
	}
	p.told = time.Now()
	if !p.terminal {
		_, _ = fmt.Fprintln(p.out, "sluice:", text)
		return
	}
	p.drawn = true
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s", text)
}

// text says where the comparison is; empty: at its beginning.
func (p *reconcileProgress) text(now time.Time) string {
	looked := plural(p.players, "player", "players") + " looked at"
	if p.wait.Until.IsZero() {
		if p.players == 0 {
			return ""
		}
		return looked
	}
	return fmt.Sprintf("%s; %s, and the difference must last for --settle: the next look is at %s UTC, in %s", looked,
		plural(p.wait.Customers, "differs", "differ"), p.wait.Until.UTC().Format(time.TimeOnly), max(0, p.wait.Until.Sub(now)).Round(time.Second))
}

// end leaves the line.
func (p *reconcileProgress) end() {
	p.once.Do(func() {
		close(p.stop)
		<-p.done
		if p.drawn {
			_, _ = fmt.Fprintln(p.out)
		}
	})
}
