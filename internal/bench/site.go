package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Layout says how a private site's roles share processes.
type Layout string

// The layouts. PostgreSQL, the simulator and the load are apart in both.
const (
	One  Layout = "one"  // serve, work, relay and NATS in one process, as sluice dev
	Many Layout = "many" // each in its own
)

// Role is a process of the service.
type Role struct {
	Name    string
	PID     int    // 0: not one of ours, its CPU is not known
	Metrics string // URL of its /metrics; "": it has none
}

// Site is a Sluice to measure: ours, or one that runs somewhere. What is not known
// of it is nil, and the figures that need it are left out.
type Site struct {
	API       string // host:port
	Host      string // of the Host header; "": API
	TLS       bool
	BasePath  string
	Roles     []Role
	DB        *sqlx.DB
	Conn      *broker.Conn
	Postgres  *devstack.Postgres
	Simulator *Simulated
	Secret    string // of the sessions of a private site

	dir      string
	children []*child
	profiled []*child
}

// Simulated is the simulator of a private site.
type Simulated struct {
	PID     int
	control simulatorControl
}

// SiteConfig describes a private site.
type SiteConfig struct {
	Dir      string // an empty folder, on the disk that PostgreSQL is to be measured on
	Layout   Layout
	Program  string   // the sluice to run
	Env      []string // of its processes, without settings
	Settings []string // NAME=value, on top of those of the bench
	Faults   string   // of the simulator, as JSON; "": none
	Profiles string   // folder for CPU profiles of the roles; "": none
	// NATSURL returns where the NATS of layout one listens, given its data folder.
	NATSURL func(dataDir string) (string, error)
	Log     *slog.Logger
}

const (
	siteProject = "proj_bench"
	siteKey     = "sk_bench"
	// siteCatalog is what a bench buys: an item that is handed over, one that is
	// refused and refunded, one that is paid in two currencies.
	siteCatalog = `items:
  extra_life: {price: {GEM: 50}}
  cursed_relic: {price: {GEM: 25}, hand_over: {port: refuse, reason: the relic refuses every owner}}
  twin_blade: {price: {GEM: 10, GOLD: 200}}
`
)

// StartSite starts a private site and returns once it takes requests. Stop it.
func StartSite(ctx context.Context, c SiteConfig) (_ *Site, err error) {
	s := &Site{dir: c.Dir, Secret: rand.Text() + rand.Text()}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.Postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{
		DataDir: filepath.Join(c.Dir, "postgres"), Durable: true, Log: c.Log,
	}); err != nil {
		return nil, err
	}
	if s.DB, err = postgres.Open(ctx, postgres.Config{URL: s.Postgres.URL(""), MaxConns: 4}); err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, s.DB, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	catalog := filepath.Join(c.Dir, "catalog.yaml")
	if err := os.WriteFile(catalog, []byte(siteCatalog), 0o600); err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(4)
	if err != nil {
		return nil, err
	}
	s.API = addrs[0]
	simulator := addrs[1]
	env := slices.Concat(c.Env, []string{
		"SLUICE_HTTP_ADDR=" + s.API, "SLUICE_DATABASE_URL=" + s.Postgres.URL(""), "SLUICE_SESSION_SECRET=" + s.Secret,
		"SLUICE_REVENUECAT_URL=http://" + simulator + "/v2", "SLUICE_REVENUECAT_SECRET_KEY=" + siteKey,
		"SLUICE_REVENUECAT_PROJECT_ID=" + siteProject, "SLUICE_CATALOG=" + catalog,
		"SLUICE_DATA_DIR=" + filepath.Join(c.Dir, "data"), "SLUICE_PLAYER_RATE=0",
		"SLUICE_HTTP_DRAIN_GRACE=0s",   // no load balancer has to notice that it stops
		"SLUICE_WEBHOOK_ENABLED=false", // nobody buys with money
	}, c.Settings)
	if err := s.startSimulator(ctx, c, env, simulator); err != nil {
		return nil, err
	}
	var natsURL string
	if c.Layout == One {
		natsURL, err = s.startOne(ctx, c, env)
	} else {
		natsURL, err = s.startMany(ctx, c, env, addrs[2:])
	}
	if err != nil {
		return nil, err
	}
	s.Conn, err = broker.Connect(ctx, broker.Config{URL: natsURL, Name: "sluice-bench", Log: slog.New(slog.DiscardHandler)})
	return s, err
}

// failed returns why the site no longer runs, if one of its processes ended.
func (s *Site) failed() error {
	for _, one := range s.children {
		if err := one.failed(); err != nil {
			return err
		}
		one.trimLog()
	}
	if s.Postgres != nil {
		select {
		case <-s.Postgres.Done():
			return fmt.Errorf("PostgreSQL ended; see %s", filepath.Join(s.dir, "postgres", "postgres.log"))
		default:
		}
	}
	return nil
}

// Stop ends every process that StartSite started, the newest first: what is in
// hand is finished. It returns when they are gone.
func (s *Site) Stop() {
	if s.Conn != nil {
		s.Conn.Close()
	}
	for _, one := range slices.Backward(s.children) {
		one.stop()
	}
	if s.DB != nil {
		_ = s.DB.Close()
	}
	if s.Postgres != nil {
		_ = s.Postgres.Stop(context.Background()) // it is private: what it says is in its log
	}
	http.DefaultClient.CloseIdleConnections()
}
