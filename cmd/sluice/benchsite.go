package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/bench"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// withoutSettings returns an environment without settings of Sluice.
func withoutSettings(environ []string) []string {
	var bare []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "SLUICE_") {
			bare = append(bare, pair)
		}
	}
	return bare
}

// folder makes a folder that PostgreSQL's own user may pass through.
func (c benchLoad) folder() (string, error) {
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "sluice-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711) //nolint:gosec // passing through is all that 0711 adds
}

// leave removes the folder, or says where it is.
func (c benchLoad) leave(io stdio, dir string) error {
	if !c.Keep {
		return os.RemoveAll(dir)
	}
	_, err := fmt.Fprintln(io.Err, "kept:", dir)
	return err
}

// private starts a site of our own.
func (c benchLoad) private(ctx context.Context, cfg *bench.Config) (err error) {
	if c.Profile != "" {
		if err := os.MkdirAll(c.Profile, 0o755); err != nil {
			return err
		}
	}
	faults := []string{}
	if c.Delay > 0 {
		faults = append(faults, fmt.Sprintf(`"delay":%q`, c.Delay))
	}
	if more := strings.Trim(strings.TrimSpace(c.Faults), "{}"); more != "" {
		faults = append(faults, more)
	}
	cfg.Site, err = bench.StartSite(ctx, bench.SiteConfig{
		Dir: cfg.Dir, Layout: bench.Layout(c.Layout), Program: cfg.Program, Env: cfg.Env, Settings: c.Set,
		Faults: "{" + strings.Join(faults, ",") + "}", Profiles: c.Profile,
		NATSURL: func(dataDir string) (string, error) {
			state, err := readDevState(dataDir)
			return state.NATSURL, err
		},
	})
	if err != nil {
		return err
	}
	secret := cfg.Site.Secret
	cfg.Sign = func(player string) (string, error) {
		return signSession(config.Session{Secret: config.NewSecret(secret)}, player, benchSession)
	}
	return nil
}

// benchSession is how long the players' sessions are valid: longer than any soak.
const benchSession = 30 * 24 * time.Hour

// running looks up an installation that runs.
func (c benchLoad) running(ctx context.Context, cfg *bench.Config) error {
	address, err := url.Parse(c.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return exitError{fmt.Errorf("--url %s: write one such as http://127.0.0.1:8080", c.URL), exitBadUsage}
	}
	settings, err := loadOperatorConfig(ctx, config.RoleSimulate)
	if err != nil {
		return err
	}
	secret, server := settings.Session.Secret.Reveal(), ""
	for _, file := range []struct {
		path string
		into *string
	}{{c.SessionSecretFile, &secret}, {c.ServerKeyFile, &server}} {
		if file.path != "" {
			raw, err := os.ReadFile(file.path)
			if err != nil {
				return err
			}
			*file.into = strings.TrimSpace(string(raw))
		}
	}
	switch {
	case secret == "" && server == "":
		return exitError{errors.New("--url needs a session secret or a server key: set SLUICE_SESSION_SECRET, --session-secret-file or --server-key-file"), exitBadUsage}
	case c.Grant > 0 && server == "":
		return exitError{errors.New("--grant needs --server-key-file"), exitBadUsage}
	case c.Grant > 0:
		cfg.Grant = economy.Amounts{"GEM": economy.Amount(c.Grant)}
	}
	if c.needsDatabase && !settings.Database.URL.IsSet() {
		return exitError{errors.New("--hold-transaction needs the installation's database with --url: set SLUICE_DATABASE_URL"), exitBadUsage}
	}
	cfg.Server = server
	if secret != "" {
		session := settings.Session
		session.Secret = config.NewSecret(secret)
		cfg.Sign = func(player string) (string, error) { return signSession(session, player, benchSession) }
	}
	port := map[string]string{"http": "80", "https": "443"}[address.Scheme]
	cfg.Site = &bench.Site{
		API: net.JoinHostPort(address.Hostname(), cmp.Or(address.Port(), port)), Host: address.Host,
		TLS: address.Scheme == "https", BasePath: strings.TrimSuffix(address.Path, "/"),
	}
	if settings.Database.URL.IsSet() {
		if cfg.Site.DB, err = postgres.Open(ctx, postgres.Config{URL: settings.Database.URL.Reveal(), MaxConns: 4}); err != nil {
			return err
		}
		if settings.NATS.URL.IsSet() { // what is seen there is only understood beside the rows
			log := newLog(config.Log{Level: settings.Log.Level + 4}, os.Stderr)
			cfg.Site.Conn, err = broker.Connect(ctx, broker.Config{URL: settings.NATS.URL.Reveal(), Name: "sluice-bench", Log: log})
		}
	}
	cfg.Site.FindMetrics(ctx)
	return err
}

// benchProgress returns who says what goes on: on a terminal a line that the next
// replaces, elsewhere plain lines, passing ones every ten seconds; and what clears
// the line.
func benchProgress(io stdio) (say func(line string, passing bool), quiet func()) {
	file, ok := io.Err.(*os.File)
	if ok && term.IsTerminal(int(file.Fd())) {
		const begin = "\r\x1b[K"
		return func(line string, passing bool) {
				if passing {
					fmt.Fprint(io.Err, begin+line)
				} else {
					fmt.Fprintln(io.Err, begin+line)
				}
			}, func() {
				fmt.Fprint(io.Err, begin)
			}
	}
	var last time.Time
	return func(line string, passing bool) {
		if passing && time.Since(last) < 10*time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintln(io.Err, filepath.Base(os.Args[0])+" bench: "+line)
	}, func() {}
}
