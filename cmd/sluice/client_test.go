package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

// spendView is the spend object as an app reads it.
type spendView struct {
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Item     string          `json:"item"`
	Quantity int64           `json:"quantity"`
	Cost     economy.Amounts `json:"cost"`
	Reason   string          `json:"reason"`
}

// reply is an answer of the API, with the members of all its forms.
type reply struct {
	code    int
	header  http.Header
	raw     string
	took    time.Duration
	last    bool              // it asks the client to close
	OK      bool              `json:"ok"`
	Spend   spendView         `json:"spend"`
	Granted []json.RawMessage `json:"granted"`

	Type   string `json:"type"`
	Title  string `json:"title"`
	Status any    `json:"status"` // a number; a word in the answer of /readyz
	Detail string `json:"detail"`
	Error  string `json:"error"`
}

func (r reply) String() string { return fmt.Sprintf("%d %v %s", r.code, r.header, r.raw) }

// send makes one request, and holds the answer against the description of the API.
// headers are names and values in turn; it may be called by any goroutine.
func (s *site) send(method, path, body string, headers ...string) (reply, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.apiAddr+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	started := time.Now()
	answer, err := s.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return reply{}, err
	}
	contract.Check(s.t, contract.Exchange{Request: request, Sent: body, Status: answer.StatusCode, Header: answer.Header, Body: raw})
	r := reply{code: answer.StatusCode, header: answer.Header, raw: string(raw), took: time.Since(started), last: answer.Close}
	if len(raw) > 0 && strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &r); err != nil {
			return reply{}, fmt.Errorf("%s: %w", raw, err)
		}
	}
	return r, nil
}

// as returns the headers of a player's JSON request, and more.
func as(t testing.TB, player string, more ...string) []string {
	t.Helper()
	return append([]string{"Authorization", "Bearer " + session(t, player), "Content-Type", "application/json"}, more...)
}

// spend posts a spend and returns the answer.
func (s *site) spend(t testing.TB, player, item, key string, headers ...string) reply {
	t.Helper()
	return s.post(t, fmt.Sprintf(`{"item":%q,"idempotencyKey":%q}`, item, key), as(t, player, headers...)...)
}

// post posts any body to /spend.
func (s *site) post(t testing.TB, body string, headers ...string) reply {
	t.Helper()
	r, err := s.send(http.MethodPost, "/spend", body, headers...)
	require.NoError(t, err)
	return r
}

// get reads a path as a player.
func (s *site) get(t testing.TB, player, path string) reply {
	t.Helper()
	r, err := s.send(http.MethodGet, path, "", as(t, player)...)
	require.NoError(t, err)
	return r
}

// inventory is what the API says a player holds.
func (s *site) inventory(t testing.TB, player string) map[string]int64 {
	t.Helper()
	var body struct {
		Items []struct {
			Item     string
			Quantity int64
		}
	}
	r := s.get(t, player, "/inventory")
	require.Equal(t, http.StatusOK, r.code, r)
	require.NoError(t, json.Unmarshal([]byte(r.raw), &body))
	held := map[string]int64{}
	for _, line := range body.Items {
		held[line.Item] += line.Quantity
	}
	return held
}

// spendAt reads a spend until it is in a state, and returns it.
func (s *site) spendAt(t testing.TB, player, path, state string) spendView {
	t.Helper()
	var spend spendView
	require.Eventually(t, func() bool {
		r, err := s.send(http.MethodGet, path, "", "Authorization", "Bearer "+session(t, player))
		return err == nil && r.code == http.StatusOK && json.Unmarshal([]byte(r.raw), &spend) == nil && spend.State == state
	}, time.Minute, 5*tick, "%s never becomes %s", path, state)
	return spend
}

// requireProblem checks the form of an error and its type.
func requireProblem(t testing.TB, r reply, code int, slug string) {
	t.Helper()
	require.Equal(t, code, r.code, r)
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), r)
	require.Equal(t, "https://sluice.dev/problems/"+slug, r.Type, r)
	require.EqualValues(t, code, r.Status, r)
	require.NotEmpty(t, r.Title, r)
	require.NotEmpty(t, r.Detail, r)
	require.NotEmpty(t, r.Error, r)
}
