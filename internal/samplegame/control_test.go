package samplegame_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/samplegame"
)

const secret = "whsec_dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ="

func ask(t *testing.T, game *samplegame.Game, from, method, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = from
	answer := httptest.NewRecorder()
	game.ServeHTTP(answer, r)
	return answer.Code, answer.Body.String()
}

func TestFaultsAreSwitchedFromThisMachineOnly(t *testing.T) {
	t.Parallel()
	game, err := samplegame.New(samplegame.Config{Secrets: []string{secret}})
	require.NoError(t, err)
	const here = "127.0.0.1:5000"
	code, body := ask(t, game, here, http.MethodPatch, "/control/faults", `{"delay":"50ms","keep":true}`)
	require.Equal(t, http.StatusOK, code, body)
	code, _ = ask(t, game, here, http.MethodPatch, "/control/faults", `{"lose_answer":0.5}`)
	require.Equal(t, http.StatusOK, code)
	want := samplegame.Faults{Delay: samplegame.Duration(50 * time.Millisecond), Keep: true, LoseAnswer: 0.5}
	require.Equal(t, want, game.Faults())
	for _, path := range []string{"/control", "/control/", "/control/faults"} {
		code, body = ask(t, game, here, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, `"delay":"50ms","fail_before":0,"lose_answer":0.5,"refuse":false,"keep":true,`, path)
	}
	code, body = ask(t, game, here, http.MethodGet, "/control/nothing", "")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, body, "GET /control shows the faults")
	for _, wrong := range []string{`{"dwon":true}`, `{"lose_answer":2}`, `{"delay":"1h"}`, `{"delay":"soon"}`, `[]`} {
		code, _ := ask(t, game, here, http.MethodPut, "/control/faults", wrong)
		require.Equal(t, http.StatusBadRequest, code, wrong)
		require.Equal(t, want, game.Faults(), "nothing changes")
	}
	code, _ = ask(t, game, "192.0.2.1:5000", http.MethodPut, "/control/faults", `{}`)
	require.Equal(t, http.StatusForbidden, code)
	code, body = ask(t, game, here, http.MethodPut, "/control/faults", `{}`)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `"delay":"0s"`)
	require.Zero(t, game.Faults())
	code, body = ask(t, game, here, http.MethodGet, "/control/players/nobody", "")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{}`, body)
	_, body = ask(t, game, here, http.MethodGet, "/control/spends/unheard", "")
	require.Contains(t, body, `"state":"none"`)
}

func TestAGameWithoutASecretIsNone(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {"whsec_no base64"}} {
		_, err := samplegame.New(samplegame.Config{Secrets: secrets})
		require.Error(t, err)
	}
}
