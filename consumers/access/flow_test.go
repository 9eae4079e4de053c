package access_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// ordersMax bounds the orders of a flow; up to four events are all tried.
const ordersMax = 24

// telling is one documented flow, told in one order in a world of its own.
type telling struct {
	flow   string
	world  string
	order  []int
	events []json.RawMessage
	want   map[string]string
}

// Every documented flow, in every order, goes through the tables: webhooks come
// again, deliveries come again before and after their commit, several workers fold
// one customer at once, and what follows is done now or much later.
func TestEveryDocumentedFlowEndsTheSameThroughTheTables(t *testing.T) {
	t.Parallel()
	file := flows(t)
	r := newRoad(t, file)
	random := rand.New(rand.NewPCG(11, 5))
	var all []telling
	steps := 0
	for n, flow := range file.Flows {
		every := orders(len(flow.Events))
		random.Shuffle(len(every), func(i, j int) { every[i], every[j] = every[j], every[i] })
		for i, order := range every[:min(len(every), ordersMax)] {
			steps = max(steps, len(order))
			it := telling{flow.Name, fmt.Sprintf("~%d.%d", n, i), order, flow.Events, flow.Want}
			all = append(all, it)
			for user := range flow.Want {
				if user != "ann" { // an id that transfers name and no event of the flow links
					r.link(t, purchases.Aliases([]string{user + it.world, "$RCAnonymousID:of-" + user + it.world}, "test", r.day0))
				}
			}
		}
	}
	for step := range steps {
		var hands sync.WaitGroup
		for _, it := range all {
			if step >= len(it.order) {
				continue
			}
			body := renamed(t, it.events[it.order[step]], it.world)
			for range 1 + random.IntN(2) {
				hands.Go(func() { r.receive(t, body) })
			}
		}
		hands.Wait()
		for range 1 + random.IntN(2) {
			r.handle(t, some(random, r.owed(t), 0.6))
		}
		r.handle(t, some(random, r.delivered, 0.1))
	}
	r.drain(t)
	r.handle(t, some(random, r.delivered, 0.2))
	r.drain(t)
	for _, it := range all {
		for user, want := range it.want {
			require.Equal(t, want, r.holds(t, user+it.world), "%s: order %v: %s", it.flow, it.order, user)
		}
	}
	t.Logf("%d tellings, %d deliveries", len(all), len(r.delivered))
	require.Zero(t, r.count(t, "SELECT count(*) FROM dead_letters"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM customer_conflicts"))
	require.Zero(t, r.count(t, `SELECT count(*) FROM (SELECT FROM purchase_grants
		GROUP BY kind, name, transaction_id, store, environment HAVING sum(quantity) < 0) g`), "more was taken than given")
}

// link writes rows down that have no guard of their own.
func (r *road) link(t testing.TB, rows []outbox.Row) {
	t.Helper()
	id := outbox.NewID()
	_, err := r.committer.Commit(t.Context(), outbox.Effects{Guard: purchases.Received{ID: id, EventKey: id, ReceivedAt: r.day0, Verdict: purchases.Accepted}, Rows: rows})
	require.NoError(t, err)
}
