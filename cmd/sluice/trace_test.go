package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// The ways of the traces below.
const (
	wayServe = "POST /spend"
	wayTaken = wayServe + " > COMMIT spend_accept"
	waySent  = wayTaken + " > publish sluice.live.spend.requested.v1.*"
	wayWork  = wayTaken + " > process sluice.live.spend.requested.v1.*"

	callProvider = " > POST /projects/{project_id}/customers/{customer_id}/virtual_currencies/transactions"
	handOver     = " > process sluice.live.spend.charged.v1.*"
	giveBack     = handOver + " > COMMIT spend_move > process sluice.live.spend.refunding.v1.*"
)

// charged are the ways of a charge that is made below another way.
func charged(below string) []string {
	return []string{
		below + " > COMMIT adjustment_bind", below + " > charge", below + " > charge" + callProvider, below + " > charge > COMMIT adjustment_settled",
		below + " > charge > publish sluice.live.spend.charged.v1.*", below + " > charge" + handOver, below + " > charge" + handOver + " > COMMIT spend_move",
	}
}

// TestOneTraceFromTheRequestToTheLastEffect: roles that are processes of their own,
// and a collector. A client's trace goes on in `serve`, through the outbox's row and
// the message, in `work`, to the hand-over or the refund. It also does when the
// stream with the messages is lost and `relay` publishes them again, and for spends
// that are charged together although their traces are different ones. What the
// collector is told names no player, no secret and no key of a client.
//
// The sweeper needs some seconds to find what the stream lost, and failures take their
// time, so it takes about 25 s.
func TestOneTraceFromTheRequestToTheLastEffect(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	_, game := games(t, "game")
	f := newFarm(t, append(append(r.settings(), game...), "SLUICE_REVENUECAT_SECRET_KEY=sk_canary",
		"SLUICE_SERVER_KEYS=canary-server-key-1234567890", "SLUICE_ADMIN_KEYS=support:canary-admin-key-1234567890")...)
	for _, player := range []string{"canary-1", "canary-2", "canary-3"} {
		f.give(player, economy.Amounts{"GEM": 1000})
	}
	n := 0
	ask := func(player, item, wait string) (traceparent, reply) {
		n++
		client := newTraceparent(n)
		return client, f.spend(t, player, item, "canary-key-"+client.trace, append(client.header(), "Prefer", "wait="+wait)...)
	}

	// The messages of these are lost: nobody works yet.
	lost, answer := ask("canary-1", "extra_life", "0")
	require.Equal(t, http.StatusAccepted, answer.code, answer)
	require.Equal(t, http.StatusOK, f.get(t, "canary-2", "/wallet").code) // a balance that is known allows to charge them together
	together := map[traceparent]string{}
	for range 3 {
		client, answer := ask("canary-2", "extra_life", "0")
		require.Equal(t, http.StatusAccepted, answer.code, answer)
		together[client] = answer.Spend.ID
	}
	f.nats.kill()
	require.NoError(t, os.RemoveAll(filepath.Join(f.folder, "nats")))
	f.startNATS()
	f.awaitReady(http.StatusOK, `"broker":"connected"`)
	logged := append(slices.Clone(f.env), "SLUICE_LOG_LEVEL=debug") // a delivery that goes well is told at debug
	work, relay := launch(t, logged, "work"), launch(t, f.env, "relay")

	by := r.requireTrace(t, lost, append(charged(wayWork), wayServe, waySent)...)
	require.Equal(t, "sluice-serve", one(t, by, wayServe).service)
	require.Contains(t, services(by[waySent]), "sluice-relay")
	for _, s := range by[wayWork] {
		require.Equal(t, "sluice-work", s.service)
	}
	f.requireTogether(t, r, together)

	whole, answer := ask("canary-3", "extra_life", "30")
	require.Equal(t, http.StatusOK, answer.code, answer)
	by = r.requireTrace(t, whole, append(charged(wayWork), wayServe, waySent)...)
	requireConventions(t, by, answer.Spend.ID)
	require.True(t, work.log.has(`"trace_id":"`+whole.trace+`"`), "the log does not name the trace")
	require.True(t, f.serve.log.has(`"trace_id":"`+whole.trace+`"`), "the log does not name the trace")

	handedOver, answer := ask("canary-3", "guild_banner", "30")
	require.Equal(t, http.StatusOK, answer.code, answer)
	r.requireTrace(t, handedOver, wayWork+" > charge"+handOver+" > POST grant", wayWork+" > charge"+handOver+" > COMMIT spend_move")

	refunded, answer := ask("canary-3", "cursed_relic", "30")
	require.Equal(t, http.StatusInternalServerError, answer.code, answer)
	back := wayWork + " > charge" + giveBack
	by = r.requireTrace(t, refunded, wayServe, back, back+" > COMMIT adjustment_bind", back+" > refund"+callProvider, back+" > refund > COMMIT adjustment_settled")
	require.True(t, one(t, by, wayServe).failed)

	f.beHostile(t, ask)
	for _, p := range []*program{f.serve, work, relay} {
		p.finish()
	}
	received := strings.ToLower(r.received())
	require.Contains(t, received, strings.ToLower(answer.Spend.ID), "little was received: this tests nothing")
	for _, bad := range []string{"canary", "sk_", "bearer", strings.ToLower(session(t, "canary-1")[:40])} {
		if at := strings.Index(received, bad); at >= 0 {
			t.Errorf("%q was sent: ...%s", bad, received[max(0, at-100):at+len(bad)])
		}
	}
}

func services(spans []span) []string {
	var names []string
	for _, s := range spans {
		names = append(names, s.service)
	}
	return names
}

// requireTogether wants the spends, by their clients, to have been charged by one
// call that stands in one of their traces and is linked with all of them.
func (f *farm) requireTogether(t *testing.T, r *receiver, spends map[traceparent]string) {
	t.Helper()
	var call, linked []span
	for client := range spends {
		// The one whose trace has the call was charged below the delivery, the others
		// below what accepted them; all go on from there.
		var by map[string][]span
		require.Eventually(t, func() bool {
			by, _ = paths(r.of(client.trace), client.span)
			return by[wayWork+" > charge"+handOver+" > COMMIT spend_move"] != nil || by[wayTaken+" > charge"+handOver+" > COMMIT spend_move"] != nil
		}, startPatience, tick, "the trace of %s ends early", client.trace)
		r.requireTrace(t, client, wayServe, wayTaken)
		call, linked = append(call, by[wayWork+" > charge"]...), append(linked, by[wayTaken+" > charge"]...)
	}
	require.Len(t, call, 1, "one call")
	require.Equal(t, "3", strings.Trim(call[0].attributes["sluice.adjustment.spends"], `int_value:"`))
	for client, id := range spends {
		require.Contains(t, call[0].links, client.trace)
		if client.trace != call[0].trace {
			at := slices.IndexFunc(linked, func(s span) bool { return s.trace == client.trace })
			require.GreaterOrEqual(t, at, 0)
			require.Equal(t, []string{call[0].trace}, linked[at].links)
			require.Equal(t, id, linked[at].attributes["sluice.spend.id"])
		}
	}
}

// requireConventions wants OpenTelemetry's names on one span of each kind.
func requireConventions(t *testing.T, by map[string][]span, spendID string) {
	t.Helper()
	for way, want := range map[string]struct {
		kind       string
		attributes map[string]string
	}{
		wayServe: {"SERVER", map[string]string{"http.request.method": "POST", "http.route": "/spend", "sluice.spend.id": spendID, "sluice.outcome": "fulfilled"}},
		wayTaken: {"CLIENT", map[string]string{"db.system.name": "postgresql", "db.operation.name": "COMMIT", "sluice.outcome": "applied"}},
		waySent: {"CLIENT", map[string]string{
			"messaging.system": "nats", "messaging.operation.type": "send", "messaging.operation.name": "publish",
			"messaging.destination.template": "sluice.live.spend.requested.v1.*", "messaging.message.id": spendID + ".requested",
		}},
		wayWork: {"CONSUMER", map[string]string{
			"messaging.system": "nats", "messaging.operation.type": "process", "messaging.consumer.group.name": "adjust",
			"messaging.message.id": spendID + ".requested", "sluice.spend.id": spendID, "sluice.outcome": "done",
		}},
		wayWork + " > charge":                {"INTERNAL", map[string]string{"sluice.adjustment.purpose": "charge", "sluice.outcome": "applied"}},
		wayWork + " > charge" + callProvider: {"CLIENT", map[string]string{"http.request.method": "POST", "server.address": "127.0.0.1"}},
	} {
		s := by[way][0]
		assert.Equal(t, want.kind, s.kind, way)
		for name, value := range want.attributes {
			assert.Equal(t, value, s.attributes[name], "%s: %s", way, name)
		}
	}
}

// beHostile asks for what no client should, and lets the provider fail in the ways
// it can, so that the spans of failures are sent, too.
func (f *farm) beHostile(t *testing.T, ask func(player, item, wait string) (traceparent, reply)) {
	t.Helper()
	_, answer := ask("canary-3", "legendary_skin", "30")
	require.Equal(t, http.StatusPaymentRequired, answer.code, answer)
	_, answer = ask("canary player/unknown", "extra_life", "30")
	require.Equal(t, http.StatusBadGateway, answer.code, answer)
	_, answer = ask("canary-3", "canary-item", "0")
	require.Equal(t, http.StatusBadRequest, answer.code, answer)
	for _, path := range []string{"/spends/canary-3", "/canary-3?token=canary", "/wallet?player=canary", "/inventory"} {
		_, err := f.send(http.MethodGet, path, "", append(newTraceparent(0).header(), "Authorization", "Bearer canary", "X-Request-Id", "canary")...)
		require.NoError(t, err)
	}
	for _, fault := range []string{`{"unauthorized":true}`, `{"fail_before":1}`, `{"lose_answer":1}`, `{"locked":1}`, `{"replay_conflict":1}`} {
		f.faults(fault)
		_, answer = ask("canary-3", "extra_life", "1")
		require.Contains(t, []int{http.StatusAccepted, http.StatusOK}, answer.code, answer)
	}
	f.faults(`{}`)
	awaitRest(t, f.database(), time.Minute)
}
