package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/handover"
)

// game models the server of a game, behind the real client and lane of
// internal/handover: a record per spend, decided once, and all that can happen to a
// request on its way. One may arrive long after its caller gave up, and after the
// caller has died.
type game struct {
	*world
	records map[string]*gameRecord // by spend
}

// gameRecord is where a spend stands in the game. The zero record is granted.
type gameRecord struct {
	revoked bool
	kept    bool // a revoke was answered with granted, and so will be every other
}

// gameRequest is what matters of a request's body.
type gameRequest struct {
	Operation string `json:"operation"`
	SpendID   string `json:"spend_id"`
}

const (
	gameName     = "game"
	gameTimeout  = 5 * time.Second
	gamePatience = time.Minute
)

var gameSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))

func newGame(w *world) *game { return &game{world: w, records: map[string]*gameRecord{}} }

// endpoints returns what a process knows of the game: a lane with nothing in hand.
func (g *game) endpoints(confirm bool) *handover.Endpoints {
	list, err := handover.NewEndpoints([]handover.Config{{
		Name: gameName, URL: "http://game/", Secrets: []string{gameSecret}, Timeout: gameTimeout, Confirm: confirm,
		HTTP: &http.Client{Transport: g}, Now: time.Now,
	}})
	if err != nil {
		panic(err)
	}
	return list
}

var errCut = errors.New("connection reset by peer")

// RoundTrip implements http.RoundTripper.
func (g *game) RoundTrip(r *http.Request) (*http.Response, error) {
	var asked gameRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		panic(err)
	}
	what, ctx := asked.Operation+" "+asked.SpendID, r.Context()
	g.pause("ask the game: " + what)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case g.chance(g.faults.GameAway):
		g.say("game: %s: no connection", what)
		return nil, errCut
	case g.chance(g.faults.GameLate):
		g.say("game: %s: will be late", what)
		g.met("a request that arrives after its caller gave up")
		g.spawn("late "+what, nil, func() {
			for range g.random.IntN(60) {
				g.pause("late " + what)
			}
			g.say("game: late %s: %s", what, g.decide(asked))
		})
		return nil, context.DeadlineExceeded
	}
	g.pause("request arrives: " + what)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case g.chance(g.faults.GameBroken):
		return gameAnswer(http.StatusServiceUnavailable, ""), nil
	}
	said := g.decide(asked)
	g.say("game: %s: %s", what, said)
	g.checkAlways()
	g.pause("answer of the game: " + what)
	if ctx.Err() != nil || g.chance(g.faults.GameLost) {
		g.say("game: %s: answer lost", what)
		return nil, errCut
	}
	return gameAnswer(http.StatusOK, fmt.Sprintf(`{"spend_id":%q,"state":%q}`, asked.SpendID, said)), nil
}

func gameAnswer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body)))}
}

// decide is the game's own rule.
func (g *game) decide(asked gameRequest) string {
	record := g.records[asked.SpendID]
	hollow := g.confirm && g.chance(g.faults.GameHollow)
	switch {
	case asked.Operation == "check" && record == nil:
		return "none"
	case asked.Operation == "check":
	case asked.Operation == "grant" && record == nil && g.chance(g.faults.GameRefuses):
		return "refused"
	case asked.Operation == "grant" && (record == nil || record.revoked && g.wrong.gameForgets):
		if hollow {
			return "granted"
		}
		record = &gameRecord{}
		g.records[asked.SpendID] = record
	case asked.Operation == "grant":
	case hollow:
		return "revoked"
	case record == nil:
		record = &gameRecord{revoked: true}
		g.records[asked.SpendID] = record
	case !record.revoked && (record.kept || g.chance(g.faults.GameKeeps)):
		record.kept = true
		g.met("the game keeps an item")
	default:
		record.revoked = true
	}
	if record.revoked {
		return "revoked"
	}
	return "granted"
}

// has reports whether the player has the item of a spend.
func (g *game) has(spend string) bool {
	record := g.records[spend]
	return record != nil && !record.revoked
}

// revoked reports whether the game will never grant the item of a spend.
func (g *game) revoked(spend string) bool {
	record := g.records[spend]
	return record != nil && record.revoked
}

// asker is what consumers know of the game, with one of the operations made of a
// function.
type asker struct {
	endpoints
	revoke func(ctx context.Context, endpoint string, s economy.Spend, before func() bool) handover.Outcome
}

func (a asker) Revoke(ctx context.Context, endpoint string, s economy.Spend, before func() bool) handover.Outcome {
	return a.revoke(ctx, endpoint, s, before)
}

// unrevoked takes every item for taken back.
func unrevoked(_ *world, next endpoints) endpoints {
	return asker{next, func(context.Context, string, economy.Spend, func() bool) handover.Outcome {
		return handover.Outcome{Kind: handover.Revoked}
	}}
}

// checkedOnly has a check decide what only a revoke can: a grant may be under way.
func checkedOnly(_ *world, next endpoints) endpoints {
	return asker{next, func(ctx context.Context, endpoint string, s economy.Spend, _ func() bool) handover.Outcome {
		said := next.Check(ctx, endpoint, s)
		if said.Kind == handover.None {
			said.Kind = handover.Revoked
		}
		return said
	}}
}

// keptIsRevoked takes an item that the game does not take back for taken back.
func keptIsRevoked(_ *world, next endpoints) endpoints {
	return asker{next, func(ctx context.Context, endpoint string, s economy.Spend, before func() bool) handover.Outcome {
		said := next.Revoke(ctx, endpoint, s, before)
		if said.Kind == handover.Granted {
			said.Kind = handover.Revoked
		}
		return said
	}}
}

// noAnswerIsRevoked gives up on a game that does not answer.
func noAnswerIsRevoked(_ *world, next endpoints) endpoints {
	return asker{next, func(ctx context.Context, endpoint string, s economy.Spend, before func() bool) handover.Outcome {
		said := next.Revoke(ctx, endpoint, s, before)
		if said.Kind == handover.Failed {
			said.Kind = handover.Revoked
		}
		return said
	}}
}

// believing believes a yes that must be confirmed.
func believing(w *world, _ endpoints) endpoints { return w.game.endpoints(false) }
