package operations

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
)

// gateInterval is how often a process looks for pauses: a tenth of a millisecond of
// PostgreSQL's time, and half of the second that operators are promised.
const gateInterval = 500 * time.Millisecond

// Gate is what one process knows of the pauses. It is safe for concurrent use.
type Gate struct {
	db  *sqlx.DB
	log *slog.Logger

	mu      sync.Mutex
	paused  map[Scope]map[string]Pause
	changed chan struct{} // closed when paused is another one
}

// NewGate reads the pauses once. Run keeps the gate up to date.
func NewGate(ctx context.Context, db *sqlx.DB, log *slog.Logger) (*Gate, error) {
	g := &Gate{db: db, log: log, changed: make(chan struct{})}
	if err := g.Look(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// Run looks for pauses twice a second until ctx ends. While the database is away
// nothing changes.
func (g *Gate) Run(ctx context.Context) {
	ticker := time.NewTicker(gateInterval)
	defer ticker.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := g.Look(ctx)
		if err != nil && !away && ctx.Err() == nil {
			g.log.WarnContext(ctx, "pauses cannot be read; those that are known go on", "error", err)
		}
		away = err != nil
	}
}

// Look reads the pauses now.
func (g *Gate) Look(ctx context.Context) error {
	list, err := readPauses(ctx, g.db)
	if err != nil {
		return err
	}
	next := map[Scope]map[string]Pause{}
	for _, p := range list {
		if next[p.Scope] == nil {
			next[p.Scope] = map[string]Pause{}
		}
		next[p.Scope][p.Name] = p
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	began, ended := missingIn(g.paused, next), missingIn(next, g.paused)
	for _, p := range began {
		g.log.InfoContext(ctx, "paused by an operator", "scope", p.Scope, "name", p.Name)
	}
	for _, p := range ended {
		g.log.InfoContext(ctx, "resumed by an operator", "scope", p.Scope, "name", p.Name)
	}
	if len(began)+len(ended) > 0 {
		close(g.changed)
		g.changed = make(chan struct{})
	}
	g.paused = next
	return nil
}

// missingIn returns what is in one set of pauses and not in the other.
func missingIn(other, in map[Scope]map[string]Pause) []Pause {
	var missing []Pause
	for _, scope := range Scopes {
		for name, p := range in[scope] {
			if _, both := other[scope][name]; !both {
				missing = append(missing, p)
			}
		}
	}
	return missing
}

func (g *Gate) find(scope Scope, name string) (Pause, bool) {
	p, ok := g.paused[scope][name]
	return p, ok
}

// Delivery returns the pause that keeps a consumer's deliveries of a lane waiting.
func (g *Gate) Delivery(consumer, lane string) (Pause, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := g.find(PauseConsumer, consumer); ok {
		return p, true
	}
	return g.find(PauseLane, lane)
}

// Wait returns nil once a consumer's deliveries of a lane may go on, at once when
// nothing is paused, or ctx's error.
func (g *Gate) Wait(ctx context.Context, consumer, lane string) error {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if _, paused := g.Delivery(consumer, lane); !paused {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Spend returns the pause that keeps new spends of an item from being accepted: of the
// item itself, or of a currency that it costs. Without an item it is a grant of the amounts.
func (g *Gate) Spend(item string, cost economy.Amounts) (Pause, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := g.find(PauseItem, item); ok {
		return p, true
	}
	for currency := range cost {
		if p, ok := g.find(PauseCurrency, string(currency)); ok {
			return p, true
		}
	}
	return Pause{}, false
}

func readPauses(ctx context.Context, db *sqlx.DB) ([]Pause, error) {
	list := []Pause{}
	if err := db.SelectContext(ctx, &list, "SELECT scope, name, since, until, who, reason FROM pauses WHERE until IS NULL OR until > now() ORDER BY scope, name"); err != nil {
		return nil, fmt.Errorf("read pauses: %w", err)
	}
	return list, nil
}
