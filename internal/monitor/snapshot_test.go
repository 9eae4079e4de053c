package monitor_test

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// plant is a database and a broker with two durables that nobody works on.
type plant struct {
	t      *testing.T
	db     *sqlx.DB
	server *broker.Embedded
	conn   *broker.Conn
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: t.TempDir(), Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := broker.Connect(t.Context(), broker.Config{URL: server.URL(), Log: log})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	require.NoError(t, conn.Reconcile(t.Context(), []broker.Durable{
		{Consumer: "fulfil", Types: []events.Type{events.SpendChargedV1}, AckWait: time.Hour},
		{Consumer: "compensate", Types: []events.Type{events.SpendRefundingV1}, AckWait: time.Hour},
	}))
	return &plant{t: t, db: testenv.Postgres(t), server: server, conn: conn}
}

func (p *plant) exec(query string, args ...any) {
	p.t.Helper()
	_, err := p.db.ExecContext(p.t.Context(), query, args...)
	require.NoError(p.t, err)
}

// owed has the outbox owe fulfil a charged spend of a partition, for so many seconds;
// inBroker publishes it, otherwise it is parked until due seconds from now.
func (p *plant) owed(partition int, seconds, due int, inBroker bool) {
	p.t.Helper()
	id, subject := outbox.NewID(), events.SubjectOf(events.Live, events.SpendChargedV1, partition)
	p.exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, owed_since, due_at, published_at)
		VALUES ($1, 'fulfil', 'live', $2, '{}', now() - make_interval(secs => $3), now() + make_interval(secs => $4), CASE WHEN $5 THEN now() END)`,
		id, subject, seconds, due, inBroker)
	if inBroker {
		stored := make(chan error, 1)
		p.conn.Publish(subject, id, []byte("{}"), nil, func(err error) { stored <- err })
		require.NoError(p.t, <-stored)
	}
}

// open has a spend be in a state, accepted so many seconds ago, beside what else a
// column says of it.
func (p *plant) open(player, left, state string, seconds int, more string) {
	p.t.Helper()
	call, spend := outbox.NewID(), outbox.NewID()
	p.exec(`INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1::uuid, now(), now(), now(), gen_random_uuid(), $2, 'charge', 'applied', $1::text, '{}', '', '{}')`, call, player)
	p.exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, change_id, app_user_id, idempotency_key, item, state, left_state, cost, adjustment_id)
		VALUES ($1::uuid, 1, 1, now() - make_interval(secs => $2), gen_random_uuid(), $3, $1::text, 'sword', $4, nullif($5, ''), '{"GEM":1}', $6)`,
		spend, seconds, player, state, left, call)
	if more != "" {
		p.exec("UPDATE spends SET "+more+" WHERE id = $1", spend)
	}
}

// within wants an age that was so many seconds when the test began.
func within(t *testing.T, seconds float64, age monitor.Seconds) {
	t.Helper()
	require.GreaterOrEqual(t, time.Duration(age).Seconds(), seconds)
	require.Less(t, time.Duration(age).Seconds(), seconds+patience.Seconds())
}

// TestASnapshotCountsWhatIsUnfinished: in the broker and the outbox, per consumer,
// lane and partition, in messages and in age; what is open, what waits for the
// provider and for people; and the metrics are the same numbers.
func TestASnapshotCountsWhatIsUnfinished(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.owed(3, 100, 0, true)
	p.owed(3, 50, 0, true)
	p.owed(11, 70, 600, false) // parked
	p.owed(11, 200, -40, false)
	p.open("ann", "", "requested", 30, "")
	p.open("ann", "", "requested", 20, "held = true")
	p.open("bob", "", "requested", 10, "unknown_since = now() - interval '9 s'")
	p.open("bob", "requested", "charged", 500, "charged_at = now() - interval '300 s'")
	p.open("bob", "charged", "refunding", 400, "needs_operator = 'no customer'")
	p.exec(`INSERT INTO provider_budgets (domain, version, limit_calls, account) VALUES ('virtual_currencies_create_transaction', 1, 90, '{}')`)
	p.exec(`INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error, died_at) VALUES ('e', 'fulfil', 'live', 's', '', 1, 'no', now() - interval '80 s')`)
	p.exec(`INSERT INTO pauses (since, act_id, scope, name, who, reason) VALUES (now() - interval '90 s', gen_random_uuid(), 'consumer', 'compensate', 'olga', 'why not')`)
	p.exec(`INSERT INTO pauses (since, act_id, scope, name, who, reason) VALUES (now() - interval '10 s', gen_random_uuid(), 'item', 'fulfil', 'olga', 'an item of that name')`)
	p.exec(`INSERT INTO audit_positions (audited_at, pass_begun_at) VALUES (now() - interval '700 s', now())`)
	p.exec(`INSERT INTO catalog_versions (fingerprint, body) VALUES ('', '{"items": {"sword": {"price": {"GEM": 10, "GOLD": 1}, "hand_over": {"port": "http", "endpoint": "guild"}}}}')`)
	p.exec(`INSERT INTO purchases (recorded_at, version, change_id, catalog_version, store, environment, transaction_id, product_id, stamps)
		SELECT now(), 1, gen_random_uuid(), CASE t WHEN 'bound' THEN 1 ELSE 0 END, 'app_store', 'production', t, 'gems', '{}' FROM unnest('{unknown,another,bound,unfolded}'::text[]) t`)
	p.exec(`INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id)
		SELECT now(), 'app_store', 'production', t, CASE t WHEN 'another' THEN 'gold' ELSE 'gems' END FROM unnest('{unknown,another,bound}'::text[]) t`)
	p.exec(`INSERT INTO audit_findings (units, found_at, kind, subject, line, currency, app_user_id, detail) VALUES (1, now(), 'line_missing', 's', 'l', 'GEM', 'ann', '')`)
	p.exec(`INSERT INTO reconciliations (ledger, provider, drift, looks, read_at, run_id, customer_id, currency, outcome)
		VALUES (5, 3, -2, 2, now(), gen_random_uuid(), 'ann', 'GEM', 'drift'), (5, 6, 1, 2, now(), gen_random_uuid(), 'bob', 'GEM', 'drift')`)

	m, now := monitor.New(p.db, p.conn, "castle"), time.Now()
	m.SetNow(func() time.Time { return now }) // nothing is read twice
	s, err := m.Snapshot(t.Context())
	require.NoError(t, err)
	require.Equal(t, monitor.Reachable{PostgreSQL: true, NATS: true}, s.Reachable)
	require.Empty(t, s.Problems)

	require.Len(t, s.Consumers, 2)
	require.Equal(t, monitor.Lag{Consumer: "compensate", Lane: "live", Paused: true, Partitions: []monitor.PartitionLag{}}, s.Consumers[0])
	fulfil := s.Consumers[1]
	require.Equal(t, "fulfil/live", fulfil.Consumer+"/"+fulfil.Lane)
	require.EqualValues(t, 2, fulfil.Messages)
	require.EqualValues(t, 4, fulfil.Owed)
	require.EqualValues(t, 4, fulfil.Unfinished())
	require.EqualValues(t, 2, fulfil.Parked)
	require.False(t, fulfil.Paused)
	within(t, 200, fulfil.OldestAge)
	require.Len(t, fulfil.Partitions, 2)
	require.Equal(t, 3, fulfil.Partitions[0].Partition)
	require.EqualValues(t, 2, fulfil.Partitions[0].Owed)
	within(t, 100, fulfil.Partitions[0].OldestAge)
	require.Equal(t, 11, fulfil.Partitions[1].Partition)
	require.EqualValues(t, 2, fulfil.Partitions[1].Parked)

	require.EqualValues(t, 4, s.Outbox.Owed)
	require.EqualValues(t, 2, s.Outbox.Parked)
	require.EqualValues(t, 1, s.Outbox.Overdue)
	within(t, 200, s.Outbox.OldestAge)
	within(t, 40, s.Outbox.OverdueAge)

	require.Equal(t, []string{"requested 3", "charged 1", "refunding 1"}, openStates(s))
	within(t, 30, s.Open[0].OldestAge)
	within(t, 500, s.Open[1].OldestAge)
	require.EqualValues(t, 3, s.Provider.Waiting, "two players and a refund")
	require.Equal(t, 90, s.Provider.Budgets[0].Limit)
	require.Equal(t, budget.CircuitClosed, s.Provider.Circuit)
	require.InDelta(t, 3.0/88*60, time.Duration(s.Provider.ETA).Seconds(), 0.1, "2 of 90 calls are left to others")
	require.EqualValues(t, 1, s.Attention.Unknown)
	require.EqualValues(t, 1, s.Attention.NeedsOperator)
	require.EqualValues(t, 1, s.Attention.Held)
	within(t, 9, s.Attention.UnknownAge)
	require.Len(t, s.DeadLetters, 1)
	within(t, 80, s.DeadLetters[0].OldestAge)
	require.EqualValues(t, 1, s.Books.Findings)
	require.Equal(t, []monitor.Drift{{Currency: "GEM", Players: 2, Units: 3}}, s.Books.Drift)
	within(t, 700, s.Books.AuditAge)
	require.Equal(t, monitor.Endpoint{Name: "castle", Set: true, Circuit: budget.CircuitClosed}, s.Endpoints[0])
	guild := s.Endpoints[1]
	require.Equal(t, monitor.Endpoint{Name: "guild", Circuit: budget.CircuitClosed, Charged: 1, OldestAge: guild.OldestAge}, guild, "what needs an operator waits for nobody else")
	within(t, 300, guild.OldestAge)
	require.Equal(t, monitor.Judge(s), s.Verdict)
	require.Equal(t, monitor.Bad, s.Verdict.Tone)
	require.Equal(t, "olga", s.Pauses[0].Who)
	within(t, 90, s.Pauses[0].Age)

	raw, err := json.Marshal(s)
	require.NoError(t, err)
	var again monitor.Snapshot
	require.NoError(t, json.Unmarshal(raw, &again))
	require.EqualValues(t, 4, again.Consumers[1].Owed)
	require.InDelta(t, time.Duration(fulfil.OldestAge).Seconds(), time.Duration(again.Consumers[1].OldestAge).Seconds(), 0.001)

	values := scrape(t, m)
	for name, value := range map[string]float64{
		"sluice_dependency_up nats": 1, "sluice_dependency_up postgresql": 1,
		"sluice_consumer_pending_messages fulfil live": 2, "sluice_outbox_owed_rows fulfil live": 4, "sluice_outbox_parked_rows fulfil live": 2,
		"sluice_consumer_paused compensate live": 1, "sluice_consumer_paused fulfil live": 0,
		"sluice_consumer_partition_owed_rows fulfil live 3": 2, "sluice_spends_open requested": 3, "sluice_spends_open charged": 1,
		"sluice_spends_attention unknown": 1, "sluice_dead_letters_open fulfil": 1, "sluice_provider_backlog_calls": 3, "sluice_provider_circuit_state": 0,
		"sluice_consumer_oldest_age_seconds fulfil live": time.Duration(fulfil.OldestAge).Seconds(),
		"sluice_outbox_overdue_age_seconds":              time.Duration(s.Outbox.OverdueAge).Seconds(),
		"sluice_handover_circuit_state castle":           0, "sluice_handover_waiting_spends guild charged": 1, "sluice_handover_waiting_spends guild refunding": 0,
		"sluice_audit_findings line_missing": 1, "sluice_audit_findings line_extra": 0, "sluice_audit_age_seconds": time.Duration(s.Books.AuditAge).Seconds(),
		"sluice_drift_units GEM": 3, "sluice_drift_players GEM": 2, "sluice_drift_units GOLD": 0, "sluice_purchases_unknown_product": 1, "sluice_customer_conflicts": 0,
		"sluice_pauses_oldest_age_seconds consumer": time.Duration(s.Pauses[0].Age).Seconds(), "sluice_pauses_oldest_age_seconds lane": 0,
	} {
		require.Contains(t, values, name)
		require.InDelta(t, value, values[name], 0, name)
	}
}

func openStates(s monitor.Snapshot) []string {
	var list []string
	for _, open := range s.Open {
		list = append(list, open.State+" "+string(rune('0'+open.Spends)))
	}
	return list
}

// scrape collects metrics: the value by name and the values of the labels.
func scrape(t *testing.T, collector prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

// TestManyWhoAskAreAnsweredByOneReading, until it is a second old; one that took long
// rests for longer.
func TestManyWhoAskAreAnsweredByOneReading(t *testing.T) {
	t.Parallel()
	m := monitor.New(testenv.Postgres(t), nil)
	var clock struct {
		sync.Mutex
		now  time.Time
		step time.Duration // how long a reading takes
	}
	clock.now = at(0)
	m.SetNow(func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		now := clock.now
		clock.now = clock.now.Add(clock.step)
		return now
	})
	read := func() time.Time {
		s, err := m.Snapshot(t.Context())
		require.NoError(t, err)
		return s.At
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { require.Equal(t, at(0), read()) })
	}
	all.Wait()
	clock.now = at(0).Add(999 * time.Millisecond)
	require.Equal(t, at(0), read())
	clock.now, clock.step = at(0).Add(time.Second), 300*time.Millisecond
	require.Equal(t, at(0).Add(time.Second), read())
	clock.now, clock.step = at(0).Add(4200*time.Millisecond), 0 // it ended at 1.3 s
	require.Equal(t, at(0).Add(time.Second), read())
	clock.now = at(0).Add(4300 * time.Millisecond)
	require.Equal(t, at(0).Add(4300*time.Millisecond), read())
}

// TestWhatCannotBeReadIsUnknownAndNotZero: neither a person nor an alert is to take
// silence for peace.
func TestWhatCannotBeReadIsUnknownAndNotZero(t *testing.T) {
	t.Parallel()
	p := newPlant(t)
	p.owed(3, 100, 0, true)
	p.server.Stop()
	m := monitor.New(p.db, p.conn)
	s, err := m.Snapshot(t.Context())
	require.NoError(t, err, "the durables are known; each says what is wrong")
	require.Equal(t, monitor.Reachable{PostgreSQL: true}, s.Reachable)
	require.NotEmpty(t, s.Consumers[1].Error)
	within(t, 100, s.Consumers[1].OldestAge) // the outbox knows
	values := scrape(t, m)
	require.InDelta(t, 0, values["sluice_dependency_up nats"], 0)
	require.NotContains(t, values, "sluice_consumer_pending_messages fulfil live")
	require.Contains(t, values, "sluice_consumer_oldest_age_seconds fulfil live")

	require.NoError(t, p.db.Close())
	m = monitor.New(p.db, p.conn)
	s, err = m.Snapshot(t.Context())
	require.Error(t, err)
	require.NotEmpty(t, s.Problems)
	require.Equal(t, monitor.Reachable{}, s.Reachable)
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	for _, part := range []string{"outbox", "open", "provider", "endpoints", "webhooks", "attention", "dead_letters", "books", "purchases", "pauses"} {
		require.Contains(t, string(raw), `"`+part+`":null`)
	}
	for name := range scrape(t, m) {
		require.Regexp(t, "^sluice_dependency_up ", name)
	}
}
