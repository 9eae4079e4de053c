package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// played is a game's server in the process of the test, and the road to it: what is
// under way may be held there, or lost.
type played struct {
	*samplegame.Game
	url string

	mu   sync.Mutex
	hold bool                                // grants do not arrive until they are released
	lose bool                                // grants arrive, and their answers do not
	held []func() *httptest.ResponseRecorder // what release delivers
	slow *slowRevoke                         // when set, becomes of the next revoke
}

// slowRevoke is a revoke that arrives at once and is answered later.
type slowRevoke struct{ arrived, answer chan struct{} }

// games starts a server for each name and returns them with the settings that name
// them as endpoints.
func games(t testing.TB, names ...string) (map[string]*played, []string) {
	t.Helper()
	list, urls, secrets := map[string]*played{}, []string{}, []string{}
	for i, name := range names {
		secret := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i + 1)}, 32))
		game, err := samplegame.New(samplegame.Config{Secrets: []string{secret}})
		require.NoError(t, err)
		p := &played{Game: game}
		server := httptest.NewServer(p)
		t.Cleanup(server.Close)
		p.url = server.URL + samplegame.Path
		list[name] = p
		urls, secrets = append(urls, name+"="+p.url), append(secrets, name+"="+secret)
	}
	return list, []string{"SLUICE_HANDOVER_URL=" + strings.Join(urls, ","), "SLUICE_HANDOVER_SECRETS=" + strings.Join(secrets, ",")}
}

// ServeHTTP passes a request on, or does to it what the road does.
func (p *played) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	header := r.Header.Clone()
	deliver := func() *httptest.ResponseRecorder {
		arrived := httptest.NewRequest(r.Method, r.URL.Path, bytes.NewReader(body))
		arrived.Header = header
		answer := httptest.NewRecorder()
		p.Game.ServeHTTP(answer, arrived)
		return answer
	}
	grant, revoke := bytes.Contains(body, []byte(`"operation":"grant"`)), bytes.Contains(body, []byte(`"operation":"revoke"`))
	var slow *slowRevoke
	p.mu.Lock()
	if revoke {
		slow, p.slow = p.slow, nil
	}
	hold, lose := p.hold && grant, p.lose && grant
	if hold {
		p.held = append(p.held, deliver)
	}
	p.mu.Unlock()
	if hold {
		<-r.Context().Done() // nobody waits for the answer any more
		return
	}
	answer := deliver()
	if slow != nil {
		close(slow.arrived)
		select {
		case <-slow.answer:
		case <-r.Context().Done():
		}
	}
	if lose {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// road changes what happens on the way, for requests that come from now on.
func (p *played) road(hold, lose bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold, p.lose = hold, lose
}

// slowly has the next revoke answered when the test says so.
func (p *played) slowly() *slowRevoke {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = &slowRevoke{make(chan struct{}), make(chan struct{})}
	return p.slow
}

// release delivers what was held and returns the answers.
func (p *played) release() []string {
	p.mu.Lock()
	held := p.held
	p.hold, p.held = false, nil
	p.mu.Unlock()
	answers := make([]string, len(held))
	for i, deliver := range held {
		answers[i] = deliver().Body.String()
	}
	return answers
}

// buy asks for an item that a game's server hands over, and returns the spend.
func (s *site) buy(t testing.TB, player, item string) spendView {
	t.Helper()
	r := s.spend(t, player, item, fmt.Sprintf("%s-%s", player, item), "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, r.code, r)
	return r.Spend
}

// requireHandedOver wants nothing free and nobody who paid with nothing: for every
// spend of a game's item that is at rest, the player has the item exactly if it is
// fulfilled, and what is refunded can never be granted.
func requireHandedOver(t testing.TB, db *sqlx.DB, game *played, item string) (fulfilled, refunded int) {
	t.Helper()
	held := map[string]int64{}
	for _, spend := range readSpends(t, db) {
		if spend.Item != item {
			continue
		}
		state := game.Record(spend.ID).State
		switch economy.State(spend.State) {
		case economy.Fulfilled:
			assert.Equal(t, samplegame.Granted, state, "%s is fulfilled", spend.ID)
			held[spend.AppUserID] += spend.Quantity
			fulfilled++
		case economy.Refunded:
			assert.Equal(t, samplegame.Revoked, state, "%s is refunded", spend.ID)
			refunded++
		default:
			assert.Fail(t, "a spend rests where it must not", "%s %s", spend.ID, spend.State)
		}
		held[spend.AppUserID] += 0
	}
	for player, quantity := range held {
		assert.Equal(t, quantity, game.Holds(player)[item], "%s of %s", item, player)
	}
	require.False(t, t.Failed(), "what the game handed over is not what was paid for")
	return fulfilled, refunded
}
