package main

import (
	"context"

	"github.com/sluice-gems/sluice/internal/samplegame"
)

// startGame starts a game whose server hands over the items of the catalogue that ask
// for one, unless the settings name endpoints. It keeps nothing over a restart.
func (s *devStack) startGame(ctx context.Context, c devCommand) error {
	if s.state.GameURL = ""; len(s.config.HandOver.URLs) > 0 {
		return nil
	}
	game, err := samplegame.New(samplegame.Config{Secrets: []string{s.state.GameSecret}, Log: s.log})
	if err != nil {
		return err
	}
	if s.gameAt, err = s.serveBeside(ctx, c.GameAddr, "--game-addr", game); err != nil {
		return err
	}
	s.state.GameURL = "http://" + s.gameAt + samplegame.Path
	s.config.HandOver.URLs, s.config.HandOver.Secrets = s.state.game()
	return nil
}
