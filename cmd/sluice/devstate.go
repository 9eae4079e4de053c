package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
)

// devState is what `sluice dev` made up and where its parts listen. It is kept
// in the data folder, so that tokens stay valid over a restart and the other
// subcommands find a running `sluice dev` without any setting.
type devState struct {
	SessionSecret string `json:"session_secret"`
	RevenueCatKey string `json:"revenuecat_secret_key"`
	ServerKey     string `json:"server_key"`
	AdminKey      string `json:"admin_key"` // an operator's
	GameSecret    string `json:"game_secret"`
	GameURL       string `json:"game_url"`
	WebhookKey    string `json:"webhook_key"` // after "Bearer " it is the Authorization of webhooks
	WebhookSecret string `json:"webhook_signing_secret"`
	DatabaseURL   string `json:"database_url"`
	NATSURL       string `json:"nats_url"`
	SimulatorURL  string `json:"simulator_url"` // empty: the settings named a provider
}

func devStatePath(dataDir string) string { return filepath.Join(dataDir, "dev.json") }

// readDevState returns what an earlier run kept; the zero state when there is none.
func readDevState(dataDir string) (devState, error) {
	raw, err := os.ReadFile(devStatePath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return devState{}, nil
	}
	if err != nil {
		return devState{}, err
	}
	var state devState
	if err := json.Unmarshal(raw, &state); err != nil {
		return devState{}, fmt.Errorf("%s: %w; delete it to have new secrets made", devStatePath(dataDir), err)
	}
	return state, nil
}

// write keeps the state, readable by its owner only. A crash in between leaves
// the old state.
func (s devState) write(dataDir string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := devStatePath(dataDir) + ".new"
	if err := os.WriteFile(temporary, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, devStatePath(dataDir))
}

// fillSecrets makes up what is neither set nor kept.
func (s *devState) fillSecrets() {
	for _, secret := range []*string{&s.SessionSecret, &s.RevenueCatKey, &s.ServerKey, &s.AdminKey, &s.WebhookKey, &s.WebhookSecret} {
		if *secret == "" {
			*secret = rand.Text() + rand.Text()
		}
	}
	if s.GameSecret == "" {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		s.GameSecret = "whsec_" + base64.StdEncoding.EncodeToString(key)
	}
}

// lend gives the settings that are unset what the state knows.
func (s devState) lend(cfg *config.Config) {
	if !cfg.Session.Secret.IsSet() && s.SessionSecret != "" {
		cfg.Session.Secret = config.NewSecret(s.SessionSecret)
	}
	if !cfg.Database.URL.IsSet() && s.DatabaseURL != "" {
		cfg.Database.URL = config.NewURL(s.DatabaseURL)
	}
	if !cfg.NATS.URL.IsSet() && s.NATSURL != "" {
		cfg.NATS.URL = config.NewURL(s.NATSURL)
	}
	// Only all three: the simulator must never be asked with a real key, nor the reverse.
	rc := &cfg.RevenueCat
	if s.SimulatorURL != "" && !rc.SecretKey.IsSet() && rc.ProjectID == "" && rc.URL.Reveal() == config.Default().RevenueCat.URL.Reveal() {
		rc.URL, rc.SecretKey, rc.ProjectID = config.NewURL(s.SimulatorURL), config.NewSecret(s.RevenueCatKey), devProject
	}
	if len(cfg.HandOver.URLs) == 0 && s.GameURL != "" {
		cfg.HandOver.URLs, cfg.HandOver.Secrets = s.game()
	}
}

// game returns the settings of the sample game.
func (s devState) game() ([]config.NamedURL, []config.NamedSecret) {
	return []config.NamedURL{{Name: economy.EndpointDefault, URL: config.NewURL(s.GameURL)}},
		[]config.NamedSecret{{Name: economy.EndpointDefault, Secret: config.NewSecret(s.GameSecret)}}
}

// loadOperatorConfig is loadConfig for commands that look at a running system:
// what is not set comes from the `sluice dev` of the same data folder, if any.
func loadOperatorConfig(ctx context.Context, role config.Role) (config.Config, error) {
	cfg, err := config.LoadEnviron(os.Environ(), os.ReadFile)
	state, stateErr := readDevState(cfg.DataDir)
	state.lend(&cfg)
	if err := errors.Join(err, stateErr, cfg.ValidateFor(role, commandOf(ctx))); err != nil {
		if state == (devState{}) {
			err = fmt.Errorf("%w\n%s", err, noDev(cfg.DataDir))
		}
		return config.Config{}, exitError{fmt.Errorf("settings:\n%w", err), exitBadUsage}
	}
	return cfg, nil
}

// noDev says what to do where no `sluice dev` is to be found.
func noDev(folder string) string {
	if whole, err := filepath.Abs(folder); err == nil {
		folder = whole
	}
	return fmt.Sprintf("no sluice dev has run in %s: start one with `make run`, name the folder of one in SLUICE_DATA_DIR, or set what is missing", folder)
}
