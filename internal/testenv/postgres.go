package testenv

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// connsPerTest is the size of the pool a test gets.
const connsPerTest = 20

// Postgres returns a pool on the test's own database: empty, fully migrated,
// dropped after the test. The same test gets the same pool again; a subtest is
// another test and has another database.
func Postgres(t testing.TB) *sqlx.DB {
	t.Helper()
	return databaseOf(t).db
}

// PostgresURL returns the address of the database Postgres gives the same test,
// for what opens its own connections. Sessions that are still open when the test
// ends are cut.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return databaseOf(t).url
}

// database is one test's.
type database struct {
	url string
	db  *sqlx.DB
}

var (
	databases     sync.Map // testing.TB -> *database
	databaseCount atomic.Int64
)

// databaseOf returns the test's database and makes it at the first call.
func databaseOf(t testing.TB) *database {
	t.Helper()
	requireMain(t)
	made, _ := databases.LoadOrStore(t, sync.OnceValues(func() (*database, error) { return newDatabase(t) }))
	d, err := made.(func() (*database, error))()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return d
}

func newDatabase(t testing.TB) (*database, error) {
	t.Helper()
	shared, err := sharedServer()
	if err != nil {
		return nil, err
	}
	name := databaseName(t.Name(), databaseCount.Add(1))
	if _, err := shared.admin.ExecContext(t.Context(), `CREATE DATABASE `+name+shared.clone); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	url := shared.server.URL(name)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: connsPerTest})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		databases.Delete(t)
		ctx, cancel := stopContext()
		defer cancel()
		if err := db.Close(); err != nil {
			t.Errorf("testenv: close database: %v", err)
		}
		if _, err := shared.admin.ExecContext(ctx, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Errorf("testenv: drop database: %v", err)
		}
	})
	return &database{url: url, db: db}, nil
}

// databaseName makes a name that a person finds in pg_stat_activity: the count
// makes it unique, the test's name is cut to PostgreSQL's 63 bytes.
func databaseName(test string, count int64) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '_'
		}
	}, test)
	return fmt.Sprintf("t%d_%s", count, clean[:min(len(clean), 50)])
}

// shared is the test binary's server. Its database devstack.Database is the
// template: migrated once, then never connected to again.
type shared struct {
	server *devstack.Postgres
	admin  *sqlx.DB
	clone  string // the rest of CREATE DATABASE
}

var sharedServer = sync.OnceValues(func() (*shared, error) {
	ctx := context.Background()
	dir, err := fastFolder()
	if err != nil {
		return nil, err
	}
	server, err := startServer(ctx, filepath.Join(dir, "postgres"), false)
	if err != nil {
		return nil, err
	}
	atExit(func() error {
		ctx, cancel := stopContext()
		defer cancel()
		return server.Stop(ctx)
	})
	if err := migrate(ctx, server.URL(devstack.Database)); err != nil {
		return nil, err
	}
	admin, err := postgres.Open(ctx, postgres.Config{URL: server.URL("postgres"), MaxConns: 4})
	if err != nil {
		return nil, err
	}
	atExit(admin.Close)
	var version int
	if err := admin.GetContext(ctx, &version, `SHOW server_version_num`); err != nil {
		return nil, err
	}
	clone := ` TEMPLATE ` + devstack.Database
	if version >= 150_000 {
		clone += ` STRATEGY FILE_COPY` // twice as fast as the default, which has been the other one since PostgreSQL 15
	}
	return &shared{server: server, admin: admin, clone: clone}, nil
})

// startServer starts a server on dir. Several test binaries run beside each other:
// each is to be small.
func startServer(ctx context.Context, dir string, durable bool) (*devstack.Postgres, error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	return devstack.StartPostgres(ctx, devstack.PostgresConfig{
		DataDir:  dir,
		Durable:  durable,
		Template: cache,
		Settings: map[string]string{"shared_buffers": "64MB", "max_wal_size": "256MB"},
	})
}

// migrate brings a database's schema up and leaves no connection behind.
func migrate(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConns: 1})
	if err != nil {
		return err
	}
	err = postgres.Migrate(ctx, db, slog.New(slog.DiscardHandler))
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}
