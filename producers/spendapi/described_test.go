package spendapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
	"github.com/sluice-gems/sluice/outbox"
)

// What the description of the API promises, and no other test happens to see: the
// same problems at every call, and its examples to the letter. Every exchange of
// this package is held against it (testBundle.do), and TestMain fails for what was
// never seen.

// playerCalls is a good request of every call of a player.
func playerCalls() []request {
	return []request{
		post(buy("extra_life", 1, "k")), get("/spends/01980000-0000-7000-8000-ffffffffffff"), get("/wallet"), get("/inventory"),
		claims("app_store", "t1", "gems_100"), restore(),
	}
}

// sessionsDown are sessions whose keys cannot be fetched.
type sessionsDown struct{}

func (sessionsDown) Verify(string) (string, error) { return "", ErrSessionUnavailable }

func TestEveryCallOfAPlayerWantsTheirSession(t *testing.T) {
	t.Parallel()
	noDatabase := func(c *Config) { c.Books = noBooks{} }
	b := setupOn(t, nil, nil, noDatabase)
	down := setupOn(t, nil, nil, noDatabase, func(c *Config) { c.Sessions = sessionsDown{} })
	expired, err := SignSession([]byte(secret), player, time.Minute, start.Add(-time.Hour), "", "")
	require.NoError(t, err)
	for i, r := range playerCalls() {
		requireProblem(t, b.do(t, r.as("-")), Unauthenticated)
		requireProblem(t, b.do(t, r.asServer(expired)), Unauthenticated)
		if r.path[:4] != "/spe" || r.method == http.MethodPost { // servers read any player's spend
			for _, key := range []string{serverKey, adminKey} {
				p := requireProblem(t, b.do(t, r.asServer(key)), Unauthenticated)
				require.Contains(t, p["detail"], "wants the player's session token")
			}
		}
		requireProblem(t, down.do(t, r), SessionsUnavailable)

		slow := setupOn(t, nil, nil, noDatabase, func(c *Config) { c.PlayerRate = 0.2 })
		require.Nil(t, slow.limit(player), "the first is let in")
		w := slow.do(t, r)
		requireProblem(t, w, TooManyRequests)
		require.Equal(t, "5", w.Header().Get("Retry-After"), i)
	}
}

// wrongBooks is a database with which we make a mistake.
type wrongBooks struct{ Books }

var errMistake = errors.New("no such column")

func (wrongBooks) Spend(context.Context, string) (economy.Spend, error) {
	return economy.Spend{}, errMistake
}

func (wrongBooks) Balances(context.Context, string) ([]books.Balance, error) { return nil, errMistake }

func (wrongBooks) Inventory(context.Context, string) ([]books.Held, error) { return nil, errMistake }

func TestAMistakeOfOursIs500AtEveryCall(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, commitFunc(func(context.Context, outbox.Effects) (outbox.Result, error) { return 0, errMistake }),
		func(c *Config) { c.Books, c.Claims = wrongBooks{}, toldNothing{} })
	for _, r := range append(playerCalls(), grant(give(player, 1, "quest", "k"))) {
		requireProblem(t, b.do(t, r), Internal)
	}
	list := results(t, b.do(t, batchOf(of(player, "extra_life", 1, "k"))))
	require.True(t, list[0].is(Internal))
	require.NotContains(t, b.log.String(), player)
}

// demo is the test's catalogue with items of the one that `sluice dev` shows, which
// the examples are about.
func demo() func() economy.Catalog {
	return catalog(func(c economy.Catalog) {
		for _, it := range []economy.Item{
			{ID: "legendary_skin", QuantityMax: 1},
			{ID: "founders_badge", QuantityMax: 1, PlayerLimit: 1},
			{ID: "recalled_potion", QuantityMax: 9, Paused: true},
			{ID: "future_hat", QuantityMax: 9, AvailableFrom: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)},
			{ID: "new_year_hat", QuantityMax: 9, AvailableUntil: time.Date(2025, 1, 7, 0, 0, 0, 0, time.UTC)},
		} {
			it.QuantityMin, it.Price, it.HandOver = 1, economy.Amounts{"GEM": 30}, economy.HandOver{Port: economy.HandOverInventory}
			c.Items[it.ID] = it
		}
	})
}

// Whatever the description shows is what the API answers, but for ids and times:
// contract.Check compares, this test asks.
func TestTheDescriptionsExamplesAreAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Catalog = demo() })
	b.accept(t, post(buy("founders_badge", 1, "first")))
	for _, c := range []struct {
		item     string
		quantity int
		kind     *ProblemType
	}{
		{"moon", 1, UnknownItem},
		{"legendary_skin", 2, BadQuantity},
		{"founders_badge", 1, LimitReached},
		{"recalled_potion", 1, ItemPaused},
		{"future_hat", 1, NotYetOnSale},
		{"new_year_hat", 1, NoLongerOnSale},
	} {
		requireProblem(t, b.do(t, post(buy(c.item, c.quantity, "k"))), c.kind)
		list := results(t, b.do(t, batchOf(of(player, c.item, c.quantity, "k"))))
		require.True(t, list[0].is(c.kind), c.item)
	}
	for _, o := range outcomes {
		spend := b.accept(t, post(buy("extra_life", 1, o.name)))
		b.move(t, spend.ID, o.reason, o.states...)
		require.Equal(t, o.status, b.do(t, post(buy("extra_life", 1, o.name))).Code)
		b.do(t, get("/spends/"+spend.ID))
	}
	b.do(t, grant(give(player, 100, "quest", "grant"), "Prefer", "respond-async"))
	made := <-b.committed
	b.move(t, made.ID, "", economy.Fulfilled)
	b.do(t, get("/spends/"+made.ID))
	b.do(t, batchOf(of("player_1", "extra_life", 1, "k"), of("player_2", "recalled_potion", 1, "k")))
}

func TestTheDescriptionsRequestsAreAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	examples := contract.Examples()
	require.NotEmpty(t, examples)
	for _, e := range examples {
		r := post(e.Body, "Prefer", "respond-async")
		r.method, r.path = e.Method, e.Path
		if e.Tag == "For game servers" {
			r = r.asServer(serverKey)
		}
		w := b.do(t, r)
		require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, w.Code, w.Body)
		require.NotContains(t, w.Body.String(), problemTypeMember)
	}
}

// problemTypeMember is how a problem begins, also one of a batch's entry.
const problemTypeMember = `"type":"` + ProblemBase

func TestTheDescriptionHasEveryProblem(t *testing.T) {
	t.Parallel()
	var slugs []string
	for _, kind := range Problems {
		slugs = append(slugs, kind.Slug)
	}
	slices.Sort(slugs)
	ours := slices.DeleteFunc(contract.Problems(), func(slug string) bool {
		return strings.HasPrefix(slug, "webhook") // producers/rcwebhook compares them
	})
	require.Equal(t, slugs, ours)
}
