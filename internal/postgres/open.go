package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Defaults of a pool.
const (
	// MaxConnsDefault leaves room for ten processes under PostgreSQL's own
	// default of 100 connections.
	MaxConnsDefault = 10

	// ConnectTimeoutDefault bounds one attempt to connect, unless the URL says
	// connect_timeout: long enough for a DNS detour, short enough that a request
	// still gets its 503 in time.
	ConnectTimeoutDefault = 10 * time.Second

	// connLifetime renews connections, so that a failover or a change of DNS is
	// followed without a restart, and memory a backend has gathered is given back.
	connLifetime = time.Hour

	// connIdleTime gives connections of a past peak back.
	connIdleTime = 5 * time.Minute
)

// applicationName is what pg_stat_activity shows, unless the URL names another.
const applicationName = "sluice"

// keepAlive finds a server that vanished without a word in half a minute
// (15 s + 3 × 5 s), rather than the operating system's two hours. It only asks while
// nothing is on the way: unacknowledged covers the rest.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Config says where the database is and how to talk to it.
type Config struct {
	// URL is postgres://… or "key=value …" as libpq knows them. A Unix socket is
	// named by its folder: postgres:///sluice?host=/run/postgresql. The PG*
	// environment variables fill in what it leaves open.
	URL string

	// MaxConns is the most connections the pool opens; 0 is MaxConnsDefault.
	MaxConns int

	// Log receives the server's notices and warnings; nil drops them.
	Log *slog.Logger

	// Session holds run-time parameters for every connection, such as
	// lock_timeout. They travel in the startup message and cost no round trip.
	Session map[string]string
}

// Open returns a pool for the database at c.URL. It connects to nothing: a
// server that is down now is found when it is back. The caller closes the pool.
// It fails only when the URL cannot be understood; the error never holds the URL,
// which may hold a password.
func Open(ctx context.Context, c Config) (*sqlx.DB, error) {
	config, err := parse(c)
	if err != nil {
		return nil, err
	}
	log := cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	connector.Dialer(dialer{})
	noticed := pq.ConnectorWithNoticeHandler(connector, func(notice *pq.Error) { logNotice(log, notice) })

	maxConns := cmp.Or(c.MaxConns, MaxConnsDefault)
	db := sqlx.NewDb(sql.OpenDB(noticed), "postgres")
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxLifetime(connLifetime)
	db.SetConnMaxIdleTime(connIdleTime)
	log.DebugContext(ctx, "database", "host", config.Host, "database", config.Database,
		"sslmode", string(config.SSLMode), "max_conns", maxConns)
	return db, nil
}

// Ping returns nil when the database answers a statement right now.
func Ping(ctx context.Context, db *sqlx.DB) error {
	if _, err := db.ExecContext(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// parse turns c into lib/pq's terms and states what lib/pq would guess.
func parse(c Config) (pq.Config, error) {
	if strings.TrimSpace(c.URL) == "" {
		return pq.Config{}, errors.New("database URL is empty")
	}
	config, err := pq.NewConfig(c.URL)
	if err != nil {
		return pq.Config{}, fmt.Errorf("database URL: %w", withoutURL(err))
	}
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, ConnectTimeoutDefault)
	config.ApplicationName = cmp.Or(config.ApplicationName, applicationName)
	if config.SSLMode == "" && local(config) {
		config.SSLMode = pq.SSLModeDisable // lib/pq would require TLS of a server on this machine, too
	}
	config.BinaryParameters = false // arrays travel as text
	if config.Runtime == nil {
		config.Runtime = make(map[string]string, len(c.Session))
	}
	maps.Copy(config.Runtime, c.Session)
	return config, nil
}

// withoutURL drops the text net/url quotes in its errors: it may hold a password.
func withoutURL(err error) error {
	if parseErr, ok := errors.AsType[*url.Error](err); ok {
		return parseErr.Err
	}
	return err
}

// local reports whether every host of config is this machine.
func local(config pq.Config) bool {
	hosts := []string{hostOf(config.Host, config.Hostaddr)}
	for _, more := range config.Multi {
		hosts = append(hosts, hostOf(more.Host, more.Hostaddr))
	}
	return !slices.ContainsFunc(hosts, func(host string) bool {
		if host == "localhost" || filepath.IsAbs(host) || strings.HasPrefix(host, "@") {
			return false
		}
		addr, err := netip.ParseAddr(host)
		return err != nil || !addr.IsLoopback()
	})
}

func hostOf(host string, addr netip.Addr) string {
	if addr.IsValid() {
		return addr.String()
	}
	return host
}

// dialer is lib/pq's own but for keepAlive.
type dialer struct{}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAliveConfig: keepAlive, Control: limitUnacknowledged}).DialContext(ctx, network, address)
}

// logNotice writes what the server says beside its answers. A notice is routine
// ("relation already exists, skipping"), a warning is not.
func logNotice(log *slog.Logger, notice *pq.Error) {
	level := slog.LevelDebug
	if notice.Severity == pqerror.SeverityWarning {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "database notice", "code", string(notice.Code), "message", notice.Message)
}
