//go:build alerts

package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// alarmItems are items that servers of the game hand over.
const alarmItems = `
  sword:  {price: {GEM: 10}, hand_over: {port: http, endpoint: honest, patience: 10m}}
  hollow: {price: {GEM: 10}, hand_over: {port: http, endpoint: hollow, patience: 10m}}
`

// alarmed is a farm with all roles, which a Prometheus watches.
type alarmed struct {
	*farm
	*prometheusServer
	t       *testing.T
	db      *sqlx.DB
	games   map[string]*played
	catalog string
	workEnv []string
	work    *program
	relay   *program
	spends  int
}

func newAlarmed(t *testing.T) *alarmed {
	t.Helper()
	games, settings := games(t, "honest", "hollow")
	a := &alarmed{t: t, games: games, catalog: writeCatalog(t, demoCatalogWith(t, alarmItems))}
	settings = append(settings, "SLUICE_CATALOG="+a.catalog, "SLUICE_HANDOVER_CONFIRM=hollow", "SLUICE_HANDOVER_TIMEOUT=500ms")
	a.farm = newFarm(t, settings...)
	a.db = a.database()
	workAddr, relayAddr := freeAddr(t), freeAddr(t)
	a.workEnv = append(slices.Clone(a.env), "SLUICE_METRICS_ADDR="+workAddr)
	a.relay = launch(t, append(slices.Clone(a.env), "SLUICE_METRICS_ADDR="+relayAddr), "relay")
	a.startWork()
	a.prometheusServer = watchedBy(t, a.apiAddr, workAddr, relayAddr)
	a.give("player", economy.Amounts{"GEM": 1_000_000})
	return a
}

func (a *alarmed) startWork(only ...string) {
	a.t.Helper()
	args := []string{"work"}
	if len(only) > 0 {
		args = append(args, "--only", strings.Join(only, ","))
	}
	a.work = launch(a.t, a.workEnv, args...)
}

func (a *alarmed) stop(p *program) {
	a.t.Helper()
	p.signal(syscall.SIGTERM)
	require.Zero(a.t, p.exitCode(), p.log.tail())
}

// ask asks for spends of an item and waits for none.
func (a *alarmed) ask(item string, n int) (last reply) {
	a.t.Helper()
	for range n {
		a.spends++
		last = a.spend(a.t, "player", item, fmt.Sprint("alarm-", a.spends), "Prefer", "respond-async")
	}
	return last
}

// fulfilled returns the id of a spend that a player has had fulfilled.
func (a *alarmed) fulfilled(player string) string {
	a.t.Helper()
	a.give(player, economy.Amounts{"GEM": 1000})
	r := a.spend(a.t, player, "extra_life", "k", "Prefer", "wait=30")
	require.Equal(a.t, http.StatusOK, r.code, r)
	return r.Spend.ID
}

// meanwhile does something again and again until what it returns is called.
func (a *alarmed) meanwhile(do func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			do()
			select {
			case <-done:
				return
			case <-time.After(10 * tick):
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (a *alarmed) operator(args ...string) string {
	a.t.Helper()
	code, out, log := runs(a.t, a.env, args...)
	require.Zero(a.t, code, "%s: %s", args, log)
	return out
}

func (a *alarmed) exec(query string) {
	a.t.Helper()
	_, err := a.db.ExecContext(a.t.Context(), query)
	require.NoError(a.t, err)
}

// fault breaks something, and mends it.
type fault struct {
	name   string
	alerts []string // that fire; others may, too
	breaks func(*alarmed) (mend func())
}

var faults = []fault{
	{"a process ends", []string{"SluiceDown"}, func(a *alarmed) func() {
		a.stop(a.work)
		return func() { a.startWork() }
	}},
	{"PostgreSQL stops", []string{"SluiceDatabaseDown", "SluiceIntakeRefuses"}, func(a *alarmed) func() {
		a.server.Stop()
		stop := a.meanwhile(func() { a.ask("extra_life", 1) })
		return func() { stop(); a.server.Start() }
	}},
	{"NATS dies", []string{"SluiceBrokerDown"}, func(a *alarmed) func() {
		a.nats.kill()
		return a.startNATS
	}},
	{"nobody runs fulfil", []string{"SluiceConsumerStalled", "SluiceConsumerBehind", "SluiceSpendsStuck"}, func(a *alarmed) func() {
		a.stop(a.work)
		a.startWork("adjust", "compensate", "access", "mirror", "resync")
		a.ask("extra_life", 5)
		return func() { a.stop(a.work); a.startWork() }
	}},
	{"no relay, and something parked", []string{"SluiceOutboxNotSwept", "SluiceProviderDown"}, func(a *alarmed) func() {
		a.faults(`{"down":true}`)
		stop := a.meanwhile(func() { a.ask("extra_life", 1) })
		a.fires("SluiceProviderDown")
		stop()
		relay := a.relay
		a.stop(relay)
		return func() {
			a.faults(`{}`)
			a.relay = launch(a.t, relayEnv(relay), "relay")
		}
	}},
	{"somebody pauses an item", []string{"SluicePausedForLong"}, func(a *alarmed) func() {
		a.operator("pause", "item", "sword", "--reason", "the test")
		return func() { a.operator("resume", "item", "sword", "--reason", "the test") }
	}},
	{"the provider refuses our key", []string{"SluiceProviderRefusesKey"}, func(a *alarmed) func() {
		a.faults(`{"unauthorized":true}`)
		a.ask("extra_life", 1)
		return func() { a.faults(`{}`) }
	}},
	{"the provider's limit is low", []string{"SluiceProviderBacklog"}, func(a *alarmed) func() {
		a.faults(`{"rate_per_minute":60}`)
		for i := range 60 {
			player := fmt.Sprint("crowd-", i)
			a.give(player, economy.Amounts{"GEM": 1000})
			a.spend(a.t, player, "extra_life", "k", "Prefer", "respond-async")
		}
		return func() { a.faults(`{"rate_per_minute":100000}`) }
	}},
	{"an answer is lost for good", []string{"SluiceUnknownCharges"}, func(a *alarmed) func() {
		a.give("lost", economy.Amounts{"GEM": 1000})
		a.faults(`{"lose_answer":1}`)
		a.spend(a.t, "lost", "extra_life", "k", "Prefer", "respond-async")
		adjustmentWhere(a.t, a.db, "lost", "unknown_since IS NOT NULL")
		a.faults(`{"replay_conflict":1}`)
		adjustmentWhere(a.t, a.db, "lost", "attempts > 1 AND last_error NOT LIKE '%no answer%'")
		return func() {
			a.faults(`{}`)
			require.Eventually(a.t, func() bool {
				command := pasted.FindStringSubmatch(a.operator("spend", "show", "--unknown"))
				if command == nil {
					return false
				}
				code, _, _ := runs(a.t, a.env, append(strings.Fields(command[1]), "--reason", "row 7 of the export")...)
				return code == 0
			}, time.Minute, 5*tick)
		}
	}},
	{"PostgreSQL refuses a row", []string{"SluiceDataRefused", "SluiceDeadLetters"}, func(a *alarmed) func() {
		a.exec("ALTER TABLE inventory_grants ADD CONSTRAINT mistake CHECK (item <> 'extra_life') NOT VALID")
		a.ask("extra_life", 1)
		return func() {
			a.exec("ALTER TABLE inventory_grants DROP CONSTRAINT mistake")
			a.operator("deadletter", "retry", "--consumer", "fulfil", "--reason", "the constraint is gone", "--yes")
		}
	}},
	{"somebody changes the ledger by hand", []string{"SluiceBooksDoNotBalance"}, func(a *alarmed) func() {
		const byHand = "SET session_replication_role = replica; %s; SET session_replication_role = origin"
		line := "kind = 'fulfil' AND spend_id = '" + a.fulfilled("robbed") + "'"
		a.exec(fmt.Sprintf(byHand, "UPDATE ledger_entries SET amount = amount + 1 WHERE "+line))
		return func() { a.exec(fmt.Sprintf(byHand, "UPDATE ledger_entries SET amount = amount - 1 WHERE "+line)) }
	}},
	{"the audit hangs", []string{"SluiceAuditStands"}, func(a *alarmed) func() {
		held, err := a.db.BeginTxx(a.t.Context(), nil)
		require.NoError(a.t, err)
		_, err = held.ExecContext(a.t.Context(), "SELECT pg_advisory_xact_lock(x'6175646974'::bigint)")
		require.NoError(a.t, err)
		return func() { require.NoError(a.t, held.Rollback()) }
	}},
	{"the provider holds a gem more than our books", []string{"SluiceDrift"}, func(a *alarmed) func() {
		reconcile := []string{"reconcile", "--player", "drifter", "--settle", "1s"}
		a.fulfilled("drifter") // who was given gems that no webhook told of
		code, out, log := runs(a.t, a.env, reconcile...)
		require.Equal(a.t, exitFailed, code, "%s%s", out, log)
		return func() { a.operator(append(reconcile, "--repair", "--reason", "the test")...) }
	}},
	{"a spend needs a person", []string{"SluiceNeedsOperator"}, func(a *alarmed) func() {
		a.exec("UPDATE spends SET needs_operator = 'the test' WHERE id = (SELECT id FROM spends ORDER BY id LIMIT 1)")
		return func() { a.exec("UPDATE spends SET needs_operator = '' WHERE needs_operator = 'the test'") }
	}},
	{"a product that no catalogue has", []string{"SluiceUnknownProduct"}, func(a *alarmed) func() {
		_, body := boughtEvent(1)
		r, err := a.webhook(strings.ReplaceAll(body, `"gems_100"`, `"mystery"`))
		require.NoError(a.t, err)
		require.Equal(a.t, http.StatusOK, r.code, r)
		return func() {
			text, err := os.ReadFile(a.catalog)
			require.NoError(a.t, err)
			text = []byte(strings.Replace(string(text), "app_store: [gems_100]", "app_store: [gems_100, mystery]", 1))
			require.NoError(a.t, os.WriteFile(a.catalog, text, 0o600))
			a.serve.signal(syscall.SIGHUP)
		}
	}},
	{"two players met in one customer", []string{"SluiceCustomerConflicts"}, func(a *alarmed) func() {
		a.exec(`INSERT INTO customer_conflicts (found_at, customer_id, app_user_ids) VALUES (now(), 'c', '["a", "b"]')`)
		return func() { a.exec("UPDATE customer_conflicts SET resolved_at = now(), resolution = 'the test'") }
	}},
	{"somebody locks a table", []string{"SluiceCommitsSlow"}, func(a *alarmed) func() {
		stop := a.meanwhile(func() {
			_, _ = a.db.ExecContext(a.t.Context(), "BEGIN; LOCK TABLE spends IN SHARE MODE; SELECT pg_sleep(2); COMMIT")
		})
		asking := a.meanwhile(func() { a.ask("extra_life", 1) })
		return func() { stop(); asking() }
	}},
	{"no webhook comes while players spend", []string{"SluiceWebhooksMayBeMissing"}, func(a *alarmed) func() {
		a.exec("UPDATE webhook_heartbeat SET since = now() - interval '10 hours'")
		a.exec("UPDATE webhook_events SET received_at = received_at - interval '10 hours'")
		stop := a.meanwhile(func() { a.ask("extra_life", 1) })
		return func() { // what sluice lag says
			stop()
			n := 10_000
			command := regexp.MustCompile(`sluice (webhooks resync --from \S+ --until \S+)`)
			require.Eventually(a.t, func() bool {
				n++
				_, body := boughtEvent(n)
				r, err := a.webhook(body)
				require.NoError(a.t, err)
				require.Equal(a.t, http.StatusOK, r.code, r)
				say := command.FindStringSubmatch(a.operator("lag"))
				if say != nil {
					a.operator(strings.Fields(say[1])...)
				}
				return say == nil
			}, alertPatience, 5*tick)
		}
	}},
	{"the Authorization of webhooks is wrong", []string{"SluiceWebhooksRefused"}, func(a *alarmed) func() {
		return a.meanwhile(func() {
			_, _ = a.send(http.MethodPost, "/webhooks/revenuecat", "{}", "Authorization", "Bearer wrong")
		})
	}},
	{"the game's server is down", []string{"SluiceHandoverDown"}, func(a *alarmed) func() {
		a.games["honest"].SetFaults(samplegame.Faults{Down: true})
		stop := a.meanwhile(func() { a.ask("sword", 1) })
		return func() { stop(); a.games["honest"].SetFaults(samplegame.Faults{}) }
	}},
	{"the game's server says yes and does nothing", []string{"SluiceHandoverContradicts"}, func(a *alarmed) func() {
		a.games["hollow"].SetFaults(samplegame.Faults{HollowGrant: true})
		a.ask("hollow", 1)
		return func() { a.games["hollow"].SetFaults(samplegame.Faults{}) }
	}},
}

// relayEnv is what a program was started with, of ours.
func relayEnv(p *program) []string {
	return slices.DeleteFunc(slices.Clone(p.cmd.Env), func(pair string) bool { return !strings.HasPrefix(pair, "SLUICE_") })
}

// TestEveryAlertFiresAndClears: every rule of deploy/prometheus, judged by a real
// Prometheus on real processes. What it is for is broken, and it fires; mended, and
// nothing fires any more.
func TestEveryAlertFiresAndClears(t *testing.T) {
	a := newAlarmed(t)
	pass(t, 5*time.Second)
	a.clears()
	for _, f := range faults {
		began := time.Now()
		mend := f.breaks(a)
		a.fires(f.alerts...)
		fired := time.Now()
		mend()
		a.clears()
		t.Logf("%s: %s fired after %.1f s, clear after %.1f s", f.name, strings.Join(f.alerts, ", "), fired.Sub(began).Seconds(), time.Since(fired).Seconds())
	}
	for _, p := range dashboardPanels(t) { // after all that, nearly every panel has something to show
		for _, target := range p.Targets {
			if found := a.query(filled(target.Expr)); !notHere.MatchString(target.Expr) {
				assert.NotEmpty(t, found, "%s: %s", p.Title, target.Expr)
			}
		}
	}
}

// notHere are queries for what the faults do not bring about, or leave nothing of.
var notHere = regexp.MustCompile(`_partition_|> 0|sluice_dead_letters|sluice_grants_total|status="429"|sluice_provider_moved_units|sluice_mirror_readings`)

func TestEveryAlertHasAFault(t *testing.T) {
	var scripted, all []string
	for _, f := range faults {
		scripted = append(scripted, f.alerts...)
	}
	for _, rule := range alertRules(t) {
		all = append(all, rule.Alert)
	}
	require.ElementsMatch(t, all, scripted)
}
