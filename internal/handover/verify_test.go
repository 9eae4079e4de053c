package handover

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/samplegame"
)

// ids counts the ids that tests make up.
var ids atomic.Int64

func try(t *testing.T, url string, item string) []Finding {
	t.Helper()
	findings, err := Verify(t.Context(), Trial{
		URL: url, Secret: whsec("a"), Item: item, Timeout: 2 * time.Second,
		NewID: func() string { return fmt.Sprint(ids.Add(1)) },
	})
	require.NoError(t, err)
	return findings
}

func failures(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		if !f.OK {
			list = append(list, f.Check)
		}
	}
	return list
}

// Each mistake is found by the check that is about it, and an honest server passes.
func TestVerifyFindsWhatBreaksTheContract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults samplegame.Faults
		found  []string
	}{
		{"honest", samplegame.Faults{}, nil},
		{"slow", samplegame.Faults{Delay: samplegame.Duration(5 * time.Millisecond)}, nil},
		{"keeps what it granted", samplegame.Faults{Keep: true}, nil},
		{"says yes and does nothing", samplegame.Faults{HollowGrant: true}, []string{"a grant gives the item", "a repeated grant gives nothing more"}},
		{"does not revoke", samplegame.Faults{HollowRevoke: true},
			[]string{"a revoke takes the item back", "a late grant after a revoke is refused", "a revoke of an unknown spend is remembered"}},
		{"forgets what it revoked", samplegame.Faults{ForgetRevoked: true},
			[]string{"a late grant after a revoke is refused", "a revoke of an unknown spend is remembered"}},
		{"grants twice", samplegame.Faults{GrantTwice: true}, []string{"a repeated grant gives nothing more", "many grants at once give one item"}},
		{"nobody looks at signatures", samplegame.Faults{SkipSignature: true},
			[]string{"a request without a signature is refused", "a signature by another secret is refused", "a changed body is refused",
				"a changed id is refused", "an old request is refused", "a request from the future is refused"}},
		{"nobody looks at the time", samplegame.Faults{SkipTimestamp: true}, []string{"an old request is refused", "a request from the future is refused"}},
		{"answers about another", samplegame.Faults{OtherSpend: true}, []string{"a grant gives the item"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			game, err := samplegame.New(samplegame.Config{Secrets: []string{whsec("a")}})
			require.NoError(t, err)
			server := httptest.NewServer(game)
			t.Cleanup(server.Close)
			game.SetFaults(c.faults)
			findings := try(t, server.URL+samplegame.Path, "")
			require.Len(t, findings, len(checks))
			if c.found == nil {
				require.Empty(t, failures(findings), "%+v", findings)
			}
			require.Subset(t, failures(findings), c.found, "%+v", findings)
			for _, f := range findings {
				require.Equal(t, f.OK, f.Saw == "" && f.Do == "", "%+v", f)
			}
		})
	}
}

// Mistakes that the sample game has no switch for: they are made between it and Verify.
func TestVerifyFindsWhatTheSampleGameCannotDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(asked string, said *httptest.ResponseRecorder)
		found []string
	}{
		{"gives one, however many are asked for", func(_ string, said *httptest.ResponseRecorder) {
			said.Body = bytes.NewBuffer(bytes.Replace(said.Body.Bytes(), []byte(`"quantity":2`), []byte(`"quantity":1`), 1))
		}, []string{"a grant gives the item", "a repeated grant gives nothing more", "many grants at once give one item"}},
		{"knows no item that it refused", func(asked string, said *httptest.ResponseRecorder) {
			if strings.Contains(asked, `"revoke"`) && strings.Contains(asked, TestNoItem) {
				said.Code = http.StatusNotFound
			}
		}, []string{"a refused spend can be revoked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			game, err := samplegame.New(samplegame.Config{Secrets: []string{whsec("a")}})
			require.NoError(t, err)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(asked))
				said := httptest.NewRecorder()
				game.ServeHTTP(said, r)
				c.spoil(string(asked), said)
				w.WriteHeader(said.Code)
				_, _ = said.Body.WriteTo(w)
			}))
			t.Cleanup(server.Close)
			require.Subset(t, failures(try(t, server.URL+samplegame.Path, "")), c.found)
		})
	}
}

func TestVerifyStopsAtAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	findings := try(t, "http://127.0.0.1:1/sluice", "")
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Saw, "connection refused")
}

func TestVerifySaysWhatIsWrongWithTheTrial(t *testing.T) {
	t.Parallel()
	for _, trial := range []Trial{{URL: "game.example.com", Secret: whsec("a")}, {URL: "http://h", Secret: "hunter2"}} {
		_, err := Verify(t.Context(), trial)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
