package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// How often progress is told: on a terminal, and elsewhere.
const (
	progressBar  = 200 * time.Millisecond
	progressLine = 10 * time.Second
)

// backfillProgress tells how far a backfill is: a bar on a terminal, a line now and
// then elsewhere.
type backfillProgress struct {
	out   io.Writer
	bar   bool
	every time.Duration
	last  time.Time
	drawn bool
	rows  int64   // of this process
	begun float64 // the share that was done when this process began; below 0: not known yet
}

func newBackfillProgress(io stdio) *backfillProgress {
	p := &backfillProgress{out: io.Err, every: progressLine, last: time.Now(), begun: -1}
	if onTerminal(io.Err) {
		p.bar, p.every = true, progressBar
	}
	return p
}

func (p *backfillProgress) report(now backfill.Progress) {
	p.rows = now.Session
	share := float64(now.Run.Counts.Bytes) / float64(max(1, now.Run.BytesAll))
	if p.begun < 0 {
		p.begun = share
	}
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	took := time.Since(now.Since)
	eta := "?"
	if done := share - p.begun; done > 0 && now.Waiting == "" {
		eta = (time.Duration(float64(took) * (1 - share) / done)).Round(time.Second).String()
	}
	c := now.Run.Counts
	text := fmt.Sprintf("%3.0f %%  %s rows  %s/s  ETA %s  new %s  changed %s", 100*min(share, 1), monitor.Number(c.Rows()),
		monitor.Number(int64(float64(now.Session)/max(took.Seconds(), 0.001))), eta, monitor.Number(c.New), monitor.Number(c.Changed))
	if c.Refused > 0 {
		text += "  rejected " + monitor.Number(c.Refused)
	}
	if now.Waiting != "" {
		text += "  waiting: " + now.Waiting
	}
	if !p.bar {
		_, _ = fmt.Fprintln(p.out, strings.TrimSpace(text))
		return
	}
	const width = 24
	full := int(min(share, 1) * width)
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K[%s%s] %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), text)
	p.drawn = true
}

// end leaves the bar.
func (p *backfillProgress) end() {
	if p.drawn {
		_, _ = fmt.Fprintln(p.out)
	}
}
