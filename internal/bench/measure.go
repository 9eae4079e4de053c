package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/bench/load"
)

// phase is one load and what became of it.
type phase struct {
	loaded
	mark    int64 // what was accepted before
	watched *watcher
	file    string // of the records
	records []load.Record
	named   map[uuid.UUID]int // spends that answers named: their record
}

// load has a load carried out.
func (b *Bench) load(ctx context.Context, name string, d time.Duration) (*phase, error) {
	b.keys++
	p := &phase{file: filepath.Join(b.Dir, name+".records")}
	if b.Site.DB != nil {
		var err error
		if p.mark, err = openMark(ctx, b.Site.DB); err != nil {
			return p, err
		}
	}
	var err error
	if p.watched, err = startWatching(b.Site, b.callers[0].Name); err != nil {
		return p, err
	}
	plan := load.Plan{
		Target: load.Target{
			Addr: b.Site.API, Host: b.Site.Host, TLS: b.Site.TLS, BasePath: b.Site.BasePath,
			Item: b.Load.Item, Prefer: b.Load.Prefer, Server: b.Sign == nil, Keys: fmt.Sprintf("%s-%d-", b.Label, b.keys),
		},
		Callers: b.callers, Clients: b.Load.Clients, Rate: b.Load.Rate, Poisson: b.Load.Poisson,
		Seed: uint64(b.keys), For: d, Records: p.file,
	}
	p.loaded, err = b.generator.run(ctx, plan, func(s load.Summary) {
		b.Say(fmt.Sprintf("%s: %d s, %d accepted, %d without an answer",
			name, int(time.Since(time.Unix(0, s.Started)).Seconds()), s.Accepted, s.Broken), true)
	})
	if err = errors.Join(b.Site.failed(), err); err != nil {
		p.watched.stop()
	}
	return p, err
}

// take reads the records of a load and takes note of what was accepted.
func (b *Bench) take(p *phase) error {
	defer os.Remove(p.file) //nolint:errcheck // the folder goes, too
	p.named = make(map[uuid.UUID]int, p.Accepted)
	return load.ReadRecords(p.file, func(r load.Record) {
		switch {
		case r.ID != uuid.Nil:
			p.named[r.ID] = len(p.records)
			b.told++
		case r.Status == 0:
			b.broken++
		}
		if r.Accepted() {
			b.accepted = append(b.accepted, answered{r.ID, b.callers[r.Caller].Name})
		}
		p.records = append(p.records, r)
	})
}

// restEvery is how often it is looked whether everything is at rest. When it came
// to rest is known from the spends.
const restEvery = 100 * time.Millisecond

// rest returns once nothing of ours is under way.
func (b *Bench) rest(ctx context.Context) error {
	if b.Site.DB == nil {
		return nil // see Bench.outcomes
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.Patience, fmt.Errorf("not everything was done %s after the load", b.Patience))
	defer cancel()
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	for {
		switch done, err := atRest(ctx, b.Site.DB, b.prefix()); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case done:
			return nil
		}
		if err := b.Site.failed(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Run measures once and adds the figures.
func (b *Bench) Run(ctx context.Context, figures *Figures) error {
	if err := b.calm(ctx); err != nil {
		return err
	}
	if b.Load.WarmUp > 0 {
		if err := b.warmUp(ctx); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	r, err := b.measure(ctx)
	if err := errors.Join(err, release()); err != nil {
		return err
	}
	r.figures(figures)
	return nil
}

func (b *Bench) warmUp(ctx context.Context) error {
	p, err := b.load(ctx, "warm-up", b.Load.WarmUp)
	if err != nil {
		return err
	}
	defer p.watched.stop()
	if err := b.take(p); err != nil {
		return err
	}
	if b.Site.DB == nil { // nobody else can say that it is at rest
		return b.outcomes(ctx, &result{phase: p})
	}
	return b.rest(ctx)
}

// measure has the load carried out between two moments of rest.
func (b *Bench) measure(ctx context.Context) (*result, error) {
	r, self := &result{roles: b.Site.Roles, open: b.Load.Rate > 0}, os.Getpid()
	var err error
	if r.before, err = b.Site.snapshot(ctx, self, false); err != nil {
		return nil, err
	}
	b.Site.profile()
	r.phase, err = b.load(ctx, "load", b.Load.For)
	b.Site.profile()
	if err != nil {
		return nil, err
	}
	defer r.watched.stop()
	r.whileLoaded.cpu, r.whileLoaded.machine = b.Site.readCPU(self)
	if err := b.rest(ctx); err != nil {
		return nil, err
	}
	if r.after, err = b.Site.snapshot(ctx, self, true); err != nil {
		return nil, err
	}
	if err := b.take(r.phase); err != nil {
		return nil, err
	}
	return r, b.outcomes(ctx, r)
}

// calm writes what a private PostgreSQL would otherwise write in the middle of a
// run: each then begins with as much log to come before the next checkpoint.
func (b *Bench) calm(ctx context.Context) error {
	if b.Site.Postgres == nil {
		return nil
	}
	if _, err := b.Site.DB.ExecContext(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// hold opens a transaction that sees the database as it is now, as a forgotten
// session or a long report would, and keeps it until release.
func (b *Bench) hold(ctx context.Context) (release func() error, err error) {
	if !b.Hold {
		return func() error { return nil }, nil
	}
	var tx *sqlx.Tx
	if tx, err = b.Site.DB.BeginTxx(ctx, nil); err != nil {
		return nil, err
	}
	look := func() error {
		_, err := tx.ExecContext(ctx, "SELECT txid_current(), count(*) FROM outbox")
		return err
	}
	if _, err = tx.ExecContext(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err == nil {
		err = look()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold a transaction open: %w", err), tx.Rollback())
	}
	return func() error {
		err := look() // it lives: the figures are those of a held snapshot
		return errors.Join(err, tx.Rollback())
	}, nil
}
