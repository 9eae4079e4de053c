package backfill

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/internal/pacing"
)

// ShareDefault is the share of the time that a run works while players spend: the
// consumers that fold what it brings work beside it.
const ShareDefault = 0.12

// restMax bounds a rest, whatever a commit took.
const restMax = time.Second

// giveWay keeps players from waiting for a run: while they spend, the workers commit one
// after the other, and rest after each commit.
type giveWay struct {
	players pacing.Players
	pacer   pacing.Pacer
	turn    sync.Mutex
}

// step runs one commit, in its turn.
func (g *giveWay) step(ctx context.Context, commit func() error) error {
	if !g.players.Spending() {
		return commit()
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	began := time.Now()
	err := commit()
	g.pacer.Rest(ctx, time.Since(began))
	return err
}
