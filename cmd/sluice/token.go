package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// tokenCommand prints a session token, as the game's login would issue it.
type tokenCommand struct {
	Player string        `help:"The player's App User ID." required:""`
	TTL    time.Duration `help:"How long it is valid." default:"1h" name:"ttl"`
}

// Help says who signs the token.
func (tokenCommand) Help() string {
	return `Signed with SLUICE_SESSION_SECRET, or with the secret that sluice dev made up in
SLUICE_DATA_DIR. For trying out and for support: in production your login issues tokens.`
}

// Run prints only the token.
func (c tokenCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadOperatorConfig(ctx, config.RoleSimulate)
	if err != nil {
		return err
	}
	if !cfg.Session.Secret.IsSet() {
		return exitError{errors.New("no session secret: set SLUICE_SESSION_SECRET, or SLUICE_DATA_DIR to the folder of a sluice dev, which makes one when it first starts"), exitBadUsage}
	}
	if c.TTL <= 0 {
		return exitError{errors.New("--ttl must be more than zero, such as 1h"), exitBadUsage}
	}
	token, err := signSession(cfg.Session, c.Player, c.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.Out, token)
	return err
}

func signSession(session config.Session, player string, ttl time.Duration) (string, error) {
	return spendapi.SignSession([]byte(session.Secret.Reveal()), player, ttl, time.Now(), session.Audience, session.Issuer)
}
