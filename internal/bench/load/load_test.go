package load_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/bench/load"
)

// api accepts spends and remembers what it was asked.
type api struct {
	mu     sync.Mutex
	asked  []asked
	answer func(n int, w http.ResponseWriter) bool // answers the nth request, or leaves it to us
}

type asked struct{ path, auth, prefer, key, player string }

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body struct {
		Key    string `json:"idempotencyKey"`
		Spends []struct {
			Player string `json:"app_user_id"`
			Key    string `json:"idempotency_key"`
		}
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	one := asked{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Prefer"), body.Key, ""}
	if len(body.Spends) == 1 {
		one.key, one.player = body.Spends[0].Key, body.Spends[0].Player
	}
	a.mu.Lock()
	a.asked = append(a.asked, one)
	n := len(a.asked)
	a.mu.Unlock()
	if a.answer != nil && a.answer(n, w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	spend := `"spend":{"id":"` + uuid.NewString() + `","state":"requested"}`
	if one.player != "" {
		_, _ = fmt.Fprintf(w, `{"results":[{"status":202,%s}]}`, spend)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"ok":true,%s}`, spend)
}

func serve(t *testing.T, a *api) load.Plan {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return load.Plan{
		Target:  load.Target{Addr: strings.TrimPrefix(server.URL, "http://"), Item: "extra_life", Keys: "run-"},
		Callers: []load.Caller{{Token: "t0", Name: "p0"}, {Token: "t1", Name: "p1"}, {Token: "t2", Name: "p2"}},
		Clients: 3, For: 100 * time.Millisecond, Records: filepath.Join(t.TempDir(), "records"),
	}
}

// carryOut runs a plan and returns its records.
func carryOut(t *testing.T, plan load.Plan) (load.Summary, []load.Record) {
	t.Helper()
	summary, err := load.Run(t.Context(), plan, nil)
	require.NoError(t, err)
	var records []load.Record
	require.NoError(t, load.ReadRecords(plan.Records, func(r load.Record) { records = append(records, r) }))
	require.Len(t, records, int(summary.Sent))
	require.NotEmpty(t, records)
	return summary, records
}

func TestEveryRequestIsAskedOnceAndRecorded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		change         func(*load.Plan)
		path, prefer   string
		auths, players int
	}{
		{"closed loop of players", func(*load.Plan) {}, "/spend", "respond-async", 3, 1},
		{"open loop of players", func(p *load.Plan) { p.Rate = 500 }, "/spend", "respond-async", 3, 1},
		{"at random times", func(p *load.Plan) { p.Rate, p.Poisson = 500, true }, "/spend", "respond-async", 3, 1},
		{"a server below a path", func(p *load.Plan) { p.Target.Server, p.Target.BasePath = true, "/api" }, "/api/spends/batch", "respond-async", 3, 3},
		{"that wait", func(p *load.Plan) { p.Target.Prefer = "wait=10" }, "/spend", "wait=10", 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := &api{}
			plan := serve(t, a)
			test.change(&plan)
			summary, records := carryOut(t, plan)
			require.Len(t, a.asked, len(records))
			require.EqualValues(t, len(records), summary.Accepted)
			require.Equal(t, int64(plan.For), summary.Ended-summary.Started)
			keys, auths, players, ids := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[uuid.UUID]bool{}
			for i, one := range a.asked {
				require.Equal(t, test.path, one.path)
				require.Equal(t, test.prefer, one.prefer)
				require.True(t, strings.HasPrefix(one.key, "run-"), one.key)
				keys[one.key], auths[one.auth], players[one.player] = true, true, true
				r := records[i]
				require.True(t, r.Accepted(), "%+v", r)
				require.Equal(t, http.StatusAccepted, r.Status)
				require.True(t, summary.Started <= r.Intended && r.Intended <= r.Sent && r.Sent <= r.Answered, "%+v", r)
				ids[r.ID] = true
			}
			require.Len(t, keys, len(records))
			require.Len(t, ids, len(records))
			if len(records) >= 3 {
				require.Len(t, auths, test.auths)
				require.Len(t, players, test.players)
			}
		})
	}
}

// TestASlowServiceDoesNotHideItsLateness: what had to be sent while the one
// connection was busy is sent late, and measured from when it was to be sent.
func TestASlowServiceDoesNotHideItsLateness(t *testing.T) {
	t.Parallel()
	plan := serve(t, &api{})
	plan.Clients, plan.Rate, plan.For = 1, 100_000, time.Millisecond
	summary, records := carryOut(t, plan)
	require.Len(t, records, 100, "requests were left out")
	for i, r := range records {
		require.Equal(t, summary.Started+int64(i)*int64(10*time.Microsecond), r.Intended)
		if i > 0 {
			require.GreaterOrEqual(t, r.Sent, records[i-1].Answered, "the one connection was busy")
		}
	}
}

// TestArrivalsAtRandomTimesAreTheSameForASeed: a run can be repeated.
func TestArrivalsAtRandomTimesAreTheSameForASeed(t *testing.T) {
	t.Parallel()
	times := func(seed uint64) (list []int64) {
		plan := serve(t, &api{})
		plan.Rate, plan.Poisson, plan.Seed = 2000, true, seed
		summary, records := carryOut(t, plan)
		for _, r := range records {
			list = append(list, r.Intended-summary.Started)
		}
		return list
	}
	first := times(1)
	require.ElementsMatch(t, first, times(1))
	require.NotEqual(t, first, times(2))
}

func TestARequestWithoutAnAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	a := &api{answer: func(n int, _ http.ResponseWriter) bool {
		if n%3 == 0 {
			panic(http.ErrAbortHandler)
		}
		return false
	}}
	plan := serve(t, a)
	plan.Clients, plan.Rate = 1, 300
	summary, records := carryOut(t, plan)
	unknown := 0
	for _, r := range records {
		if r.Status == 0 {
			unknown++
			require.False(t, r.Accepted())
		}
	}
	require.Equal(t, len(records)/3, unknown)
	require.EqualValues(t, unknown, summary.Broken)
	require.NotEmpty(t, summary.Error)
	require.EqualValues(t, len(records)-unknown, summary.Accepted)
}

func TestALoadThatGetsNoAnswersEnds(t *testing.T) {
	t.Parallel()
	plan := serve(t, &api{answer: func(int, http.ResponseWriter) bool { panic(http.ErrAbortHandler) }})
	plan.For = time.Hour
	_, err := load.Run(t.Context(), plan, nil)
	require.ErrorContains(t, err, "1000 requests without an answer")
}

func TestALoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 0.001, 1000} {
		ctx, cancel := context.WithCancel(t.Context())
		hanging, release := make(chan struct{}, 3), make(chan struct{})
		plan := serve(t, &api{answer: func(int, http.ResponseWriter) bool { hanging <- struct{}{}; <-release; return false }})
		plan.For, plan.Rate = time.Hour, rate
		done := make(chan error, 1)
		go func() {
			_, err := load.Run(ctx, plan, nil)
			done <- err
		}()
		<-hanging
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		close(release)
	}
}

func TestRefusalsAreNotAccepted(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for _, test := range []struct {
		name, body string
		status     int
		want       load.Answer
		accepted   bool
	}{
		{"fulfilled", `{"ok":true,"spend":{"id":"` + id.String() + `","state":"fulfilled"}}`, 200, load.Answer{Status: 200, ID: id}, true},
		{"not enough", `{"type":"x","spend":{"id":"` + id.String() + `"}}`, 402, load.Answer{Status: 402, ID: id}, false},
		{"later", `{"type":"x"}`, 429, load.Answer{Status: 429}, false},
		{"long", `{"pad":"` + strings.Repeat("x", 9000) + `","spend":{"id":"` + id.String() + `"}}`, 202, load.Answer{Status: 202, ID: id}, true},
		{"too long", strings.Repeat("x", 20_000), 202, load.Answer{}, false},
		{"not an id", `{"spend":{"id":"` + strings.Repeat("x", 36) + `"}}`, 202, load.Answer{Status: 202}, false},
	} {
		a := &api{answer: func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(test.body)))
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
			return true
		}}
		client, err := load.Dial(t.Context(), serve(t, a).Target)
		require.NoError(t, err)
		got, err := client.Spend(load.Caller{Token: "t"}, 7)
		client.Close()
		assert.Equal(t, test.want.ID != uuid.Nil || test.status == 429, err == nil, "%s: %v", test.name, err)
		assert.Equal(t, test.want, got, test.name)
		assert.Equal(t, test.accepted, err == nil && got.Accepted(), test.name)
	}
}

func TestAPlanThatAsksForNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*load.Plan){
		func(p *load.Plan) { p.Clients = 0 }, func(p *load.Plan) { p.Callers = nil }, func(p *load.Plan) { p.For = 0 },
		func(p *load.Plan) { p.Rate = -1 }, func(p *load.Plan) { p.Target.Addr = "nowhere" }, func(p *load.Plan) { p.Records = "/nowhere/records" },
	} {
		plan := serve(t, &api{})
		change(&plan)
		_, err := load.Run(t.Context(), plan, nil)
		require.Error(t, err)
	}
}
