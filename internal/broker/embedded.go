package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// embeddedReadyTimeout bounds the start, which reads the store: 1 GiB of
	// messages takes about a second from a warm disk.
	embeddedReadyTimeout = 30 * time.Second

	// embeddedMaxStore is the most the store may reserve. It is far above
	// streamMaxBytes so that the stream can always be created: by default
	// nats-server reserves at most 3/4 of the free disk and refuses the rest.
	embeddedMaxStore = 1 << 40

	// watchEvery is how often the server is asked whether it has JetStream.
	watchEvery = time.Second
)

// EmbeddedConfig says how to run a NATS server inside this process.
type EmbeddedConfig struct {
	StoreDir string       // where JetStream keeps its files; created when missing; required
	Host     string       // address to listen on; empty: 127.0.0.1
	Port     int          // 0 or -1: a free port, see Embedded.URL
	Log      *slog.Logger // nil: slog.Default

	// SyncInterval is how often the store is flushed to disk. 0: the server's
	// default of 2 minutes, enough because PostgreSQL is the truth and the sweeper
	// publishes again what a power cut took. Negative: before every acknowledgement.
	SyncInterval time.Duration
}

// Embedded is a running NATS server with JetStream on disk.
type Embedded struct {
	server *server.Server
	done   chan struct{} // closed when it is gone
	why    error         // why it is gone, when nobody stopped it; written before done is closed
}

// StartEmbedded starts a server and returns once it accepts connections and has
// read its store. An empty or missing StoreDir is a fresh start. The server does
// not handle signals and logs to cfg.Log: warnings as they are, the rest as debug.
func StartEmbedded(cfg EmbeddedConfig) (*Embedded, error) {
	if cfg.StoreDir == "" {
		return nil, errors.New("embedded nats: store directory is not set") // nats-server would choose one in /tmp
	}
	if err := os.MkdirAll(cfg.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded nats: %w", err)
	}
	s, err := server.NewServer(cfg.options())
	if err != nil {
		return nil, fmt.Errorf("embedded nats: %w", err)
	}
	log := &serverLog{log: orDefault(cfg.Log)}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !s.ReadyForConnections(embeddedReadyTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("embedded nats: not ready on %s:%d: %w", cfg.Host, cfg.Port, log.why())
	}
	e := &Embedded{server: s, done: make(chan struct{})}
	go e.watch(log)
	return e, nil
}

// watch ends a server whose JetStream has given up, as it does when the disk is
// full: without JetStream it goes on serving, takes no message, and nobody notices.
func (e *Embedded) watch(log *serverLog) {
	defer close(e.done)
	gone := make(chan struct{})
	go func() { defer close(gone); e.server.WaitForShutdown() }()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for e.server.JetStreamEnabled() {
		select {
		case <-gone:
			return
		case <-ticker.C:
		}
	}
	if e.server.Running() {
		e.why = fmt.Errorf("embedded nats: JetStream has given up: %w", log.why())
		e.server.Shutdown()
	}
	<-gone
}

func (cfg EmbeddedConfig) options() *server.Options {
	opts := &server.Options{
		ServerName:        "sluice-embedded",
		Host:              cfg.Host,
		Port:              cfg.Port,
		JetStream:         true,
		StoreDir:          cfg.StoreDir,
		JetStreamMaxStore: embeddedMaxStore,
		NoSigs:            true,
	}
	if opts.Host == "" {
		opts.Host = "127.0.0.1"
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	switch {
	case cfg.SyncInterval > 0:
		opts.SyncInterval = cfg.SyncInterval
	case cfg.SyncInterval < 0:
		opts.SyncAlways = true
	}
	return opts
}

// URL returns the address that clients connect to.
func (e *Embedded) URL() string { return e.server.ClientURL() }

// Done is closed when the server is gone, wanted or not.
func (e *Embedded) Done() <-chan struct{} { return e.done }

// Why tells why a server is gone that nobody stopped; nil when somebody did. It may
// be asked after Done.
func (e *Embedded) Why() error { return e.why }

// Stop disconnects the clients, writes what is in memory to the store and waits
// for both. A second call does nothing.
func (e *Embedded) Stop() {
	e.server.Shutdown()
	<-e.done
}

func orDefault(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.Default()
	}
	return log
}
