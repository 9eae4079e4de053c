package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// process is what the roles of one process share.
type process struct {
	config   config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	db       *sqlx.DB
	conn     *broker.Conn

	outboxMetrics   *outbox.Metrics
	providerMetrics *providerMetrics
	provider        *provider // of roles that call RevenueCat; nil otherwise
	committer       *outbox.Committer
	books           *books.Books
	catalogs        *books.Catalogs
	monitor         monitor.Collector
}

const (
	// poolSize is a process's connections to PostgreSQL: two committers, the
	// sweeper's lock, and reads of requests and consumers.
	poolSize = 24
	// statementTimeout bounds every statement on the server's side. The longest is
	// the sweeper's, of 500 rows by index.
	statementTimeout = "15s"
	// reconcilePatience bounds the wait for the broker at the start. It is not
	// needed to accept spends, so a start goes on without it.
	reconcilePatience = 5 * time.Second
)

// newLog returns the process's logger.
func newLog(cfg config.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == config.LogText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// startCalling is startProcess for the roles that call RevenueCat.
func startCalling(ctx context.Context, name string, cfg config.Config, log *slog.Logger) (*process, error) {
	p, err := startProcess(ctx, name, cfg, log)
	if err != nil {
		return nil, err
	}
	if p.provider, err = p.startProvider(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// startProcess connects to the database and the broker, makes sure the schema is
// current and the stream exists, and starts the committer.
func startProcess(ctx context.Context, name string, cfg config.Config, log *slog.Logger) (*process, error) {
	p := &process{config: cfg, log: log, registry: prometheus.NewRegistry()}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	p.db, err = postgres.Open(ctx, postgres.Config{
		URL: cfg.Database.URL.Reveal(), MaxConns: poolSize, Log: log, Session: map[string]string{"statement_timeout": statementTimeout},
	})
	if err != nil {
		return nil, err
	}
	if err := p.requireSchema(ctx); err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	if p.conn, err = broker.Connect(ctx, broker.Config{URL: cfg.NATS.URL.Reveal(), Name: "sluice-" + name, Log: log}); err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	reconcileCtx, cancel := context.WithTimeout(ctx, reconcilePatience)
	defer cancel()
	if err := p.conn.Reconcile(reconcileCtx, durables(specs)); err != nil {
		log.WarnContext(ctx, "broker is not ready; what is accepted waits in the outbox", "error", err)
	}
	p.outboxMetrics, p.providerMetrics = outbox.NewMetrics(p.registry), newProviderMetrics(p.registry)
	p.committer = outbox.NewCommitter(outbox.CommitterConfig{
		DB: p.db, Subscriptions: consumers.Subscriptions(specs), Log: log, Metrics: p.outboxMetrics,
		Relay: outbox.NewRelay(p.conn, 0, p.outboxMetrics), Announcer: p.conn,
	})
	p.books, p.catalogs = books.New(p.db), books.NewCatalogs(p.db)
	p.monitor = monitor.Collector{DB: p.db, Conn: p.conn}
	p.registry.MustRegister(p.monitor)
	return p, nil
}

// requireSchema refuses to start on a schema that this binary does not know.
func (p *process) requireSchema(ctx context.Context) error {
	switch current, err := postgres.MigrationsCurrent(ctx, p.db); {
	case err != nil:
		return fmt.Errorf("database: %w", err)
	case !current:
		return errors.New("the database's schema is not current: run sluice migrate")
	}
	return nil
}

// close ends what startProcess and startCalling began, last things first. What waits for a commit
// is committed.
func (p *process) close() {
	if p.provider != nil {
		p.provider.close()
	}
	p.committer.Close()
	p.conn.Close()
	if err := p.db.Close(); err != nil {
		p.log.Warn("close database", "error", err)
	}
}

// clock tells the time in what PostgreSQL keeps, microseconds, so that a moment
// reads the same from memory and from a row.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
