package testenv

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// DurableServer is a test's own server with fsync on, made to be stopped and
// killed. Its methods are for one goroutine; what uses its database may be many.
type DurableServer struct {
	t      testing.TB
	dir    string
	server *devstack.Postgres
	url    string
	db     *sqlx.DB
}

var durableCount atomic.Int64

// DurablePostgres starts a server with the settings of production and a migrated
// database. It ends with the test.
func DurablePostgres(t testing.TB) *DurableServer {
	t.Helper()
	requireMain(t)
	parent, err := diskFolder()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	s := &DurableServer{t: t, dir: filepath.Join(parent, fmt.Sprintf("durable%d", durableCount.Add(1)))}
	s.Start()
	t.Cleanup(s.close)
	s.url = s.server.URL(devstack.Database)
	if err := migrate(t.Context(), s.url); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: s.url, MaxConns: connsPerTest})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	s.db = db
	return s
}

// URL returns the address of the migrated database. It stays the same over Stop,
// Kill and Start.
func (s *DurableServer) URL() string { return s.url }

// DB returns a pool on that database. It outlives the server: after Start it
// connects again.
func (s *DurableServer) DB() *sqlx.DB { return s.db }

// Start starts the server after Stop or Kill and returns when it takes
// connections: whatever a crash left has been recovered then.
func (s *DurableServer) Start() {
	s.t.Helper()
	server, err := startServer(s.t.Context(), s.dir, true)
	if err != nil {
		s.t.Fatalf("testenv: %v", err)
	}
	s.server = server
}

// Stop ends the server in order, as an operator would: sessions are cut.
func (s *DurableServer) Stop() {
	s.t.Helper()
	ctx, cancel := stopContext()
	defer cancel()
	if err := s.server.Stop(ctx); err != nil {
		s.t.Fatalf("testenv: %v", err)
	}
}

// Kill ends the server by kill -9: what was not committed is lost, what was
// committed is there again after Start.
func (s *DurableServer) Kill() {
	s.t.Helper()
	if err := s.server.Kill(); err != nil {
		s.t.Fatalf("testenv: %v", err)
	}
}

func (s *DurableServer) close() {
	ctx, cancel := stopContext()
	defer cancel()
	if s.db != nil {
		_ = s.db.Close() // its connections may be those of a server that was killed
	}
	if err := errors.Join(s.server.Stop(ctx), remove(s.dir)); err != nil {
		s.t.Errorf("testenv: %v", err)
	}
}
