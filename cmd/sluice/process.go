package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/mirror"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/telemetry"
	"github.com/sluice-gems/sluice/outbox"
)

// process is what the roles of one process share.
type process struct {
	config    config.Config
	log       *slog.Logger
	registry  *prometheus.Registry
	db        *sqlx.DB
	conn      *broker.Conn
	telemetry *telemetry.Telemetry

	outboxMetrics   *outbox.Metrics
	providerMetrics *providerMetrics
	provider        *provider // of roles that call RevenueCat; nil otherwise
	committer       *outbox.Committer
	unhurried       *outbox.Committer // of what no player waits for: a burst of purchases shares no batch with spends
	intake          *outbox.Committer // of webhooks
	hurry           func()            // ends the rests of both
	books           *books.Books
	reads           *sqlx.DB        // of consumers, by key; nil otherwise
	spends          *books.Gathered // read by them, or taken from recent
	recent          *books.Recent   // what this process charged a moment ago
	catalogs        *books.Catalogs
	returned        map[string]chan struct{} // of an endpoint: it answers again
	endpoints       *handover.Endpoints      // of the game's own servers, of roles that run consumers; nil otherwise
	freshener       *mirror.Freshener        // of roles that run the consumer mirror; nil otherwise
	monitor         *monitor.Monitor
	beside          func(context.Context, *http.ServeMux, func() economy.Catalog) error // adds pages that only sluice dev has; nil otherwise
}

const (
	// poolSize is a process's connections to PostgreSQL: two committers, the
	// sweeper's lock, and reads of requests and consumers.
	poolSize = 24
	// readsMax is the connections of the reads of consumers: two gather spends, two
	// turns, one histories of customers, two the bodies of webhooks.
	readsMax = 7
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
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if cfg.Format == config.LogText {
		handler = slog.NewTextHandler(w, options)
	}
	if telemetry.On() {
		handler = telemetry.LogHandler(handler)
	}
	return slog.New(handler)
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
	p := &process{config: cfg, log: log, registry: prometheus.NewRegistry(), recent: &books.Recent{Now: clock}}
	p.registry.MustRegister(runtimeMetrics(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	p.db, err = postgres.Open(ctx, postgres.Config{
		URL: cfg.Database.URL.Reveal(), MaxConns: poolSize, Log: log, Session: map[string]string{
			"statement_timeout": statementTimeout, "jit": "off", // rows by key: compiling takes longer than reading
			"max_parallel_workers_per_gather": "0", // what counts a backlog takes one processor, and leaves the others to players
		},
	})
	if err != nil {
		return nil, err
	}
	if err := p.requireSchema(ctx); err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	if p.conn, err = broker.Connect(ctx, broker.Config{
		URL: cfg.NATS.URL.Reveal(), Name: "sluice-" + name, Log: log, Replicas: cfg.NATS.Replicas,
	}); err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	reconcileCtx, cancel := context.WithTimeout(ctx, reconcilePatience)
	defer cancel()
	if err := p.conn.Reconcile(reconcileCtx, durables(specs)); err != nil {
		log.WarnContext(ctx, "broker is not ready; what is accepted waits in the outbox", "error", err)
	}
	if p.telemetry, err = telemetry.Start(ctx, "sluice-"+name, buildVersion(), log); err != nil {
		p.conn.Close()
		return nil, errors.Join(err, p.db.Close())
	}
	p.outboxMetrics, p.providerMetrics = outbox.NewMetrics(p.registry), newProviderMetrics(p.registry)
	relay := outbox.NewRelay(p.conn, 0, p.outboxMetrics)
	relay.Tracer = p.telemetry.Tracer
	committing := outbox.CommitterConfig{
		DB: p.db, Subscriptions: consumers.Subscriptions(specs), Log: log, Metrics: p.outboxMetrics,
		Relay: relay, Announcer: p.conn, Moved: p.recent.Moved,
	}
	p.committer = outbox.NewCommitter(committing)
	spending, resting := p.giveWay()
	committing.Committers, committing.Rest, committing.Short = 1, resting(consumersPace), spending
	p.unhurried = outbox.NewCommitter(committing)
	committing.Rest, committing.Short = resting(intakePace), nil
	p.intake = outbox.NewCommitter(committing)
	p.books, p.catalogs = books.New(p.db), books.NewCatalogs(p.db)
	p.monitor = monitor.New(p.db, p.conn, endpointNames(cfg.HandOver)...)
	p.registry.MustRegister(p.monitor)
	return p, nil
}

// startReads opens what consumers read by: few connections, since what many want is
// read together.
func (p *process) startReads(ctx context.Context) error {
	var err error
	if p.reads, err = p.byKey(ctx, readsMax); err != nil {
		return err
	}
	p.spends = books.NewGathered(p.reads, p.recent)
	return nil
}

// byKey opens a pool of statements that reach rows by their indexes only.
func (p *process) byKey(ctx context.Context, maxConns int) (*sqlx.DB, error) {
	session := maps.Clone(postgres.ByKey)
	session["statement_timeout"] = statementTimeout
	return postgres.Open(ctx, postgres.Config{URL: p.config.Database.URL.Reveal(), MaxConns: maxConns, Log: p.log, Session: session})
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

// close ends what startProcess and startCalling began, last things first. Deliveries in
// hand end before the committer does, and what waits for a commit is committed.
func (p *process) close() {
	p.conn.EndSubscriptions()
	if p.provider != nil {
		p.provider.close()
	}
	p.committer.Close()
	p.hurry()
	p.intake.Close()
	p.unhurried.Close()
	p.conn.Close()
	if p.reads != nil {
		_ = p.reads.Close()
	}
	if err := p.db.Close(); err != nil {
		p.log.Warn("close database", "error", err)
	}
	p.telemetry.Stop()
}

// clock tells the time in what PostgreSQL keeps, microseconds, so that a moment
// reads the same from memory and from a row.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
