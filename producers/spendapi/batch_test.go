package spendapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// of is one spend of a batch.
func of(player, item string, quantity int, key string) map[string]any {
	return map[string]any{"app_user_id": player, "item": item, "quantity": quantity, "idempotency_key": key}
}

func batchOf(entries ...any) request {
	if entries == nil {
		entries = []any{}
	}
	body, _ := json.Marshal(map[string]any{"spends": entries})
	return batch(string(body))
}

// result is one entry's answer.
type result struct {
	Status     int            `json:"status"`
	Replayed   bool           `json:"replayed"`
	RetryAfter int            `json:"retry_after"`
	Spend      map[string]any `json:"spend"`
	Error      map[string]any `json:"error"`
}

func (r result) is(kind *ProblemType) bool {
	return r.Status == kind.Status && r.Spend == nil && r.Error["type"] == kind.Type()
}

// results checks that the batch was answered, and returns what became of it.
func results(t testing.TB, w *httptest.ResponseRecorder) []result {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var answer struct {
		Results []result `json:"results"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Results
}

func TestWhatABatchRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := batchOf(of(player, "extra_life", 1, "k"))
	tooMany := make([]any, batchMax+1)
	for i := range tooMany {
		tooMany[i] = 0
	}
	for _, c := range []struct {
		name string
		r    request
		kind *ProblemType
	}{
		{"form", request{method: "POST", path: "/spends/batch", body: good.body, player: "-", header: http.Header{"Content-Type": {"text/plain"}, "Authorization": {"Bearer " + serverKey}}}, UnsupportedMediaType},
		{"no key", request{method: "POST", path: "/spends/batch", body: good.body, player: "-", header: http.Header{"Content-Type": {"application/json"}}}, ServerKeyNeeded},
		{"a player's session", request{method: "POST", path: "/spends/batch", body: good.body, header: http.Header{"Content-Type": {"application/json"}}}, ServerKeyNeeded},
		{"an admin key", request{method: "POST", path: "/spends/batch", body: good.body, player: "-", header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + adminKey}}}, ServerKeyNeeded},
		{"no body", batch(""), MalformedRequest},
		{"no JSON", batch("{"), MalformedRequest},
		{"a list", batch("[]"), MalformedRequest},
		{"no list", batch(`{"spends":{}}`), MalformedRequest},
		{"no spends", batch(`{}`), MalformedRequest},
		{"two lists", batch(`{"spends":[],"spends":[]}`), MalformedRequest},
		{"1,001 spends", batchOf(tooMany...), MalformedRequest},
		{"body too large", batch(`{"spends":["` + strings.Repeat("x", batchBodyMax) + `"]}`), BodyTooLarge},
		{"method", get("/spends/batch").asServer(serverKey), MethodNotAllowed},
		{"another method", request{method: http.MethodDelete, path: "/spends/batch", header: http.Header{}}, MethodNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := b.do(t, c.r)
			requireProblem(t, w, c.kind)
			if c.kind == ServerKeyNeeded {
				require.True(t, strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer"))
			}
			if c.kind == MethodNotAllowed {
				require.Equal(t, "POST", w.Header().Get("Allow"))
			}
		})
	}
	require.Empty(t, b.committed)
	require.Empty(t, results(t, b.do(t, batchOf())))
	require.Len(t, results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k")).with("X-Request-Id", "1"))), 1)
	old := batchOf(of(player, "extra_life", 1, "k"))
	old.header.Set("Authorization", "bearer "+oldServerKey)
	require.True(t, results(t, b.do(t, old))[0].Replayed, "several keys live while one is rotated")
}

func TestWithoutServerKeysNobodyIsAServer(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) { c.Books, c.ServerKeys, c.AdminKeys = noBooks{}, []string{""}, nil })
	for _, r := range []request{batchOf(), batchOf().with("Authorization", "Bearer "), grant("{}")} {
		requireProblem(t, b.do(t, r), ServerKeyNeeded)
	}
	requireProblem(t, b.do(t, get("/spends/x").asServer(serverKey)), Unauthenticated)
}

// Every entry is answered as POST /spend would have, in order, and none has a say
// in another's.
func TestEveryEntryOfABatchHasItsOwnAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.accept(t, post(buy("extra_life", 1, "used")))
	entries := []any{
		of(player, "extra_life", 2, "new"),
		of(player, "nothing", 1, "k1"),
		of(player, "extra_life", 11, "k2"),
		of(player, "paused", 1, "k3"),
		of(player, "limited", 4, "k4"),
		of(player, "bundle", 1, "used"),
		of(player, "extra_life", 1, "used"),
		of("$RCAnonymousID:1", "extra_life", 1, "k5"),
		of("", "extra_life", 1, "k6"),
		of("a\x00", "extra_life", 1, "k6"),
		map[string]any{"item": "extra_life", "idempotency_key": "k7"},
		map[string]any{"app_user_id": player, "item": "extra_life"},
		map[string]any{"app_user_id": player, "idempotency_key": "k8"},
		of(player, "extra_life", 1, strings.Repeat("k", 256)),
		of(player, "extra_life", 0, "k9"),
		7, nil, "x", []any{},
		map[string]any{"app_user_id": "another", "item": "extra_life", "idempotency_key": "new", "unknown": true},
	}
	kinds := []*ProblemType{
		nil, UnknownItem, BadQuantity, ItemPaused, LimitReached, IdempotencyKeyReused, nil, AnonymousPlayer,
		MalformedRequest, MalformedRequest, MalformedRequest, BadIdempotencyKey, MalformedRequest, BadIdempotencyKey, BadQuantity,
		MalformedRequest, MalformedRequest, MalformedRequest, MalformedRequest, nil,
	}
	w := b.do(t, batchOf(entries...))
	require.NotContains(t, w.Body.String(), "header", "an entry has none")
	list := results(t, w)
	require.Len(t, list, len(entries))
	for i, kind := range kinds {
		if kind != nil {
			require.True(t, list[i].is(kind), "entry %d: %+v", i, list[i])
			continue
		}
		require.Equal(t, http.StatusAccepted, list[i].Status, i)
		require.NotEmpty(t, list[i].Spend["id"], i)
		require.Nil(t, list[i].Error, i)
		require.Equal(t, i == 6, list[i].Replayed, i)
	}
	require.EqualValues(t, 2, list[0].Spend["quantity"])
	require.EqualValues(t, 1, list[19].Spend["quantity"], "left out is 1")
	require.Equal(t, "extra_life", list[5].Error["spend"].(map[string]any)["item"])

	spend, err := books.New(b.db).SpendByKey(t.Context(), "another", "new")
	require.NoError(t, err, "accepted entries are durable")
	require.Equal(t, list[19].Spend["id"], spend.ID)
	for _, id := range []string{"canary", serverKey, "another"} {
		require.NotContains(t, b.log.String(), id)
	}
	lines := b.log.lines(t)
	require.Equal(t, "batch", lines[len(lines)-1]["outcome"])
}

func TestABatchTellsTheStateOfRepeatedKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var entries []any
	for _, o := range outcomes {
		spend := b.accept(t, post(buy("bundle", 2, o.name)))
		b.move(t, spend.ID, o.reason, o.states...)
		entries = append(entries, of(player, "bundle", 2, o.name))
	}
	w := b.do(t, batchOf(entries...))
	for i, r := range results(t, w) {
		require.Equal(t, outcomes[i].status, r.Status, outcomes[i].name)
		require.True(t, r.Replayed)
		require.Equal(t, outcomes[i].kind != nil, r.Error != nil)
	}
	golden(t, "post_batch", w.Body.Bytes())
}

func TestSpendsOfOnePlayerAreAcceptedInTheOrderOfTheBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const players, each = 20, 25
	var entries []any
	for i := range each {
		for p := range players {
			entries = append(entries, of(fmt.Sprint("p", p), "extra_life", 1, fmt.Sprint(i)))
		}
	}
	for _, r := range results(t, b.do(t, batchOf(entries...))) {
		require.Equal(t, http.StatusAccepted, r.Status, r)
	}
	for p := range players {
		var keys []int
		require.NoError(t, b.db.Select(&keys, "SELECT idempotency_key::int FROM spends WHERE app_user_id = $1 ORDER BY seq", fmt.Sprint("p", p)))
		require.Len(t, keys, each)
		for i, key := range keys {
			require.Equal(t, i, key)
		}
	}
}

// Of 1,000 spends of as many players there are few commits: they share them.
func TestEntriesOfABatchShareCommits(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	committer := newCommitter(t, db)
	var most, now atomic.Int64
	b := setupOn(t, db, commitFunc(func(ctx context.Context, e outbox.Effects) (outbox.Result, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return committer.Commit(ctx, e)
	}))
	entries := make([]any, batchMax)
	for i := range entries {
		entries[i] = of(fmt.Sprint("p", i), "extra_life", 1, "k")
	}
	for _, r := range results(t, b.do(t, batchOf(entries...))) {
		require.Equal(t, http.StatusAccepted, r.Status)
	}
	require.Greater(t, most.Load(), int64(batchPlayersMax/4))
	require.LessOrEqual(t, most.Load(), int64(batchPlayersMax))
	var transactions int
	require.NoError(t, db.Get(&transactions, "SELECT count(DISTINCT xmin::text) FROM spends"))
	require.Less(t, transactions, batchMax/4)
}

func TestAPlayersLaterEntriesAreNotTriedAfterOneThatCouldNotBeTaken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var tried []string
	b := setupOn(t, nil, commitFunc(func(_ context.Context, e outbox.Effects) (outbox.Result, error) {
		spend := e.Guard.(books.Accept).Spend
		mu.Lock()
		defer mu.Unlock()
		tried = append(tried, spend.AppUserID+spend.IdempotencyKey)
		if spend.AppUserID == "down" && spend.IdempotencyKey == "2" {
			return 0, outbox.ErrUnavailable
		}
		return outbox.Applied, nil
	}), func(c *Config) { c.Books = noBooks{} })
	list := results(t, b.do(t, batchOf(
		of("down", "extra_life", 1, "1"), of("up", "extra_life", 1, "1"), of("down", "extra_life", 1, "2"),
		of("down", "extra_life", 1, "3"), of("up", "extra_life", 1, "2"),
	)))
	for i, status := range []int{202, 202, 503, 503, 202} {
		require.Equal(t, status, list[i].Status, i)
	}
	require.ElementsMatch(t, []string{"down1", "down2", "up1", "up2"}, tried)
	require.Equal(t, 2, list[2].RetryAfter)
	require.Equal(t, 2, list[3].RetryAfter)
}

func TestABatchIsBoundedAndSurvivesAPanic(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, commitFunc(func(context.Context, outbox.Effects) (outbox.Result, error) { panic("the committer is on fire") }),
		func(c *Config) { c.Books = noBooks{} })
	w := b.do(t, batchOf(of("a", "extra_life", 1, "1"), of("b", "extra_life", 1, "1")))
	requireProblem(t, w, Internal)
	require.Contains(t, b.log.String(), "the committer is on fire")

	// Out of time: what was not begun is not begun any more.
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	entries := []entry{{player: "a", request: spendRequest{item: "extra_life", quantity: 1, key: "k"}}}
	b.takeAll(ctx, "", entries)
	require.Equal(t, Unavailable, entries[0].problem.kind)

	// Nobody reads the answer of a client that hung up.
	ctx, cancel = context.WithCancel(t.Context())
	b = setupOn(t, nil, commitFunc(func(ctx context.Context, _ outbox.Effects) (outbox.Result, error) {
		cancel()
		return 0, ctx.Err()
	}), func(c *Config) { c.Books = noBooks{} })
	w = b.do(t, batchOf(of("a", "extra_life", 1, "1"), of("a", "extra_life", 1, "2")).within(ctx))
	require.Empty(t, w.Body.String())
	require.EqualValues(t, statusGone, b.log.lines(t)[0]["status"])
}

func TestAPlayerWithTooManyOpenSpendsWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.PlayerOpenMax = 3 })
	first := b.accept(t, post(buy("extra_life", 1, "k1")))
	b.accept(t, post(buy("limited", 1, "k2")))
	require.Equal(t, http.StatusAccepted, b.do(t, grant(give(player, 5, "quest", "k3"), "Prefer", "respond-async")).Code, "a grant stands in the line, too")
	w := b.do(t, post(buy("extra_life", 1, "k4")))
	requireProblem(t, w, TooManyOpenSpends)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	golden(t, "problem_too_many_open_spends", w.Body.Bytes())
	requireProblem(t, b.do(t, post(buy("limited", 1, "k5"))), TooManyOpenSpends)
	requireProblem(t, b.do(t, post(buy("limited", 3, "k6"))), LimitReached)
	requireProblem(t, b.do(t, grant(give(player, 5, "quest", "k7"))), TooManyOpenSpends)
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k8"), of(player, "extra_life", 1, "k9"), of("another", "extra_life", 1, "k8"))))
	require.True(t, list[0].is(TooManyOpenSpends))
	require.True(t, list[1].is(TooManyOpenSpends))
	require.Equal(t, 5, list[1].RetryAfter)
	require.Equal(t, http.StatusAccepted, list[2].Status)

	w = b.do(t, post(buy("extra_life", 1, "k1")))
	require.Equal(t, http.StatusAccepted, w.Code, "what was accepted is told at the cap, too")
	requireProblem(t, b.do(t, post(buy("bundle", 1, "k1"))), IdempotencyKeyReused)
	b.move(t, first.ID, "", economy.Charged)
	requireProblem(t, b.do(t, post(buy("extra_life", 1, "k4"))), TooManyOpenSpends)
	b.move(t, first.ID, "", economy.Fulfilled)
	require.Equal(t, http.StatusAccepted, b.do(t, post(buy("extra_life", 1, "k4"), "Prefer", "respond-async")).Code, "what is settled makes room")
}

func TestServersAndOperatorsReadAnyPlayersSpend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spend := b.accept(t, post(buy("extra_life", 1, "k")))
	want := b.do(t, get("/spends/"+spend.ID))
	require.Equal(t, http.StatusOK, want.Code)
	for _, key := range []string{serverKey, oldServerKey, adminKey} {
		w := b.do(t, get("/spends/"+spend.ID).asServer(key))
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, want.Body.String(), w.Body.String())
		requireProblem(t, b.do(t, get("/spends/01980000-0000-7000-8000-ffffffffffff").asServer(key)), NotFound)
		requireProblem(t, b.do(t, get("/wallet").asServer(key)), Unauthenticated)
	}
	for _, key := range []string{"server-key", serverKey + "x", "", serverKey[:4]} {
		requireProblem(t, b.do(t, get("/spends/"+spend.ID).asServer(key)), Unauthenticated)
	}
	require.NotContains(t, b.log.String(), "-key")
}
