package retention

import (
	"fmt"
	"testing"
)

// BenchmarkMonths measures what inserting into a table by month costs beside one that
// is whole, and what two lines of the ledger weigh.
//
//	go test -run '^$' -bench Months -benchtime 5x ./internal/retention
func BenchmarkMonths(b *testing.B) {
	const rows = 50_000
	for _, c := range []struct{ table, query string }{
		{"webhook_events", `INSERT INTO %s (id, received_at, event_key, verdict, headers, body)
			SELECT ('019a' || lpad(to_hex(i), 8, '0') || '700080000000' || lpad(to_hex(%d), 8, '0'))::uuid, now(), 'k' || i, 'accepted', '{}', repeat('x', 900)::bytea
			FROM generate_series(1, %d) i`},
		{"purchase_versions", `INSERT INTO %s (said_at, recorded_at, store, environment, transaction_id, source, said_by, kind, fact)
			SELECT now() + i * interval '1 ms', now(), 'app_store', 'production', 't-' || %d || '-' || i, 'webhook', 'event-' || i, 1, '{"app_user_id": "somebody", "product": "premium"}'
			FROM generate_series(1, %d) i ON CONFLICT DO NOTHING`},
		{"ledger_entries", `INSERT INTO %s (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
			SELECT ('019a' || lpad(to_hex(i / 2), 8, '0') || '700080000000' || lpad(to_hex(%d), 8, '0'))::uuid, 50, now(), 'player_0123456789',
				CASE i %% 2 WHEN 0 THEN 'charge' ELSE 'fulfil' END, 'GEM', CASE i %% 2 WHEN 0 THEN 'wallet' ELSE 'in_flight' END, CASE i %% 2 WHEN 0 THEN 'in_flight' ELSE 'sink' END
			FROM generate_series(1, %d) i`},
	} {
		for _, table := range []string{"whole", c.table} {
			b.Run(c.table+" "+table, func(b *testing.B) {
				w := newWorld(b, Policy{})
				if _, err := w.Sweep(b.Context()); err != nil {
					b.Fatal(err)
				}
				w.exec(b, "CREATE TABLE whole (LIKE "+c.table+" INCLUDING ALL)")
				n := 0
				for b.Loop() {
					n++
					w.exec(b, fmt.Sprintf(c.query, table, n, rows))
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*rows), "µs/row")
				b.ReportMetric(0, "ns/op")
				if c.table == "ledger_entries" && table == c.table {
					b.ReportMetric(float64(w.count(b, "SELECT pg_total_relation_size('ledger_entries')"))/float64(n*rows), "bytes/row")
				}
			})
		}
	}
}
