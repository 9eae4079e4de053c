package pacing

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// lookEvery is how often Players looks.
	lookEvery = time.Second
	// firstLook is when it looks for the second time: until then nobody knows.
	firstLook = 200 * time.Millisecond
	// lingers is how long players count as spending after the last spend was seen.
	lingers = 3 * time.Second
)

// Players knows whether players spend, whichever process takes their spends: it looks
// once a second how many spends were accepted and how many calls were prepared.
type Players struct {
	DB  *sqlx.DB
	Log *slog.Logger

	known    atomic.Bool
	spending atomic.Bool

	looked bool
	count  int64     // when it looked last
	moved  time.Time // when that was another number than before
}

// Spending reports whether a spend or a grant was accepted, or a call to the provider
// was prepared, in the last seconds. Until two looks can tell, they may have been.
func (p *Players) Spending() bool { return !p.known.Load() || p.spending.Load() }

// Watch looks until ctx ends. While the database does not answer, what was known stands.
// It is called once.
func (p *Players) Watch(ctx context.Context) {
	ticker := time.NewTicker(firstLook)
	defer ticker.Stop()
	for {
		if err := p.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			p.Log.DebugContext(ctx, "whether players spend is not known", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			ticker.Reset(lookEvery)
		}
	}
}

// look reads two sequences: one page each, however many spends there are. They go up
// with every spend, grant and call, also with one that was not kept.
func (p *Players) look(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	var count int64
	err := p.DB.GetContext(ctx, &count, "SELECT (SELECT last_value FROM spends_seq_seq) + (SELECT last_value FROM adjustments_seq_seq)")
	if err != nil {
		return err
	}
	if p.looked && count != p.count {
		p.moved = now
	}
	p.spending.Store(!p.moved.IsZero() && now.Sub(p.moved) < lingers)
	p.known.Store(p.looked)
	p.looked, p.count = true, count
	return nil
}
