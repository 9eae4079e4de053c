package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/mirror"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
	"github.com/sluice-gems/sluice/producers/rcwebhook"
)

// backfill takes files in, and has what follows consumed.
func (s *shopping) backfill(command backfill.Command) backfill.Run {
	s.t.Helper()
	policy := rcwebhook.Policy{Environments: rcwebhook.Environments{Production: true, Sandbox: true}}
	engine := &backfill.Engine{
		DB: s.db, Now: s.clock, Log: slog.New(slog.DiscardHandler), Judge: policy.Judge,
		Subscriptions: outbox.Subscriptions{
			events.StoreWebhookReceivedV1: {"access"}, events.StoreCustomerChangedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"}, events.StoreCurrencyMovedV1: {"mirror"},
		},
	}
	found, err := exports.Find(s.t.Context(), command.URLs, command.Feed)
	require.NoError(s.t, err)
	run, _, err := backfill.Runs{DB: s.db}.Start(s.t.Context(), command, "tester")
	require.NoError(s.t, err)
	run, err = engine.Run(s.t.Context(), run, found.Files)
	require.NoError(s.t, err)
	require.Zero(s.t, run.Counts.Refused)
	s.deliver()
	return run
}

// mirroring has the consumer mirror run as well.
func (s *shopping) mirroring() *shopping {
	s.runners[mirror.Spec.Name] = &consumers.Runner{
		Consumer:  mirror.Consumer{Store: s.store, Twins: adjustments.Store{DB: s.db}, Metrics: mirror.NewMetrics(nil), Now: s.clock},
		Committer: s.committer, Log: slog.New(slog.DiscardHandler), Metrics: consumers.NewMetrics(nil),
	}
	return s
}

// moved is what the provider did to balances by itself.
func (s *shopping) moved() []string {
	s.t.Helper()
	var list []string
	require.NoError(s.t, s.db.SelectContext(s.t.Context(), &list, `SELECT (to_jsonb(m) - 'entered_at')::text FROM provider_movements m ORDER BY 1`))
	return list
}

// TestAnHourFromItsArchiveOrItsCustomersEndsAsItsWebhooksDid: a store that heard nothing
// of an hour ends as one that did, by the archive of the other or by a customer list; and
// once more changes nothing.
func TestAnHourFromItsArchiveOrItsCustomersEndsAsItsWebhooksDid(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	archive, list := filepath.Join(folder, "archive.jsonl"), filepath.Join(folder, "list.csv")
	var want map[string][]string
	var moved []string
	var archived int64
	t.Run("told", func(t *testing.T) {
		s := newShopping(t, 1).mirroring()
		s.hour()
		want, moved = s.state(), s.moved()
		require.NotEmpty(t, moved)
		var file bytes.Buffer
		wrote, err := (&backfill.Export{DB: s.db}).Write(t.Context(), &file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(archive, file.Bytes(), 0o600))
		archived = wrote.Events
		require.Greater(t, archived, int64(20))
		require.Equal(t, archived, s.backfill(backfill.Command{Feed: exports.Events, URLs: []string{archive}}).Counts.Same, "it knows them")
		require.Equal(t, want, s.state())

		var rows strings.Builder
		rows.WriteString("app_user_id;aliases;most_recent_purchase_at\n")
		for _, player := range shoppers {
			aliases := ""
			if player == "ann" {
				aliases = "ann,$RCAnonymousID:1"
			}
			_, _ = fmt.Fprintf(&rows, "%s;%s;%d\n", player, aliases, s.clock().Add(-time.Hour).UnixMilli())
		}
		require.NoError(t, os.WriteFile(list, []byte(rows.String()), 0o600))
	})
	for name, command := range map[string]backfill.Command{
		"archive":       {Feed: exports.Events, URLs: []string{archive}},
		"customer list": {Feed: exports.Customers, URLs: []string{list}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShopping(t, 3).mirroring()
			s.SetWebhookFaults(simulator.WebhookFaults{Lose: 1})
			s.hour()
			require.NotEqual(t, want, s.state(), "nothing was lost")
			run := s.backfill(command)
			require.Equal(t, want, s.state())
			if command.Feed == exports.Events {
				require.Equal(t, archived, run.Counts.New)
				require.Equal(t, moved, s.moved())
			}
			s.pass(time.Hour)
			run = s.backfill(command)
			require.Zero(t, run.Counts.New, "the second run changes nothing")
			require.Equal(t, want, s.state())
			require.Len(t, s.moved(), map[exports.Feed]int{exports.Events: len(moved)}[command.Feed])
		})
	}
}

// TestArchivesByTheirCommands: written, looked at, taken in, taken in again.
func TestArchivesByTheirCommands(t *testing.T) {
	db := testenv.Postgres(t)
	dir := t.TempDir()
	t.Setenv("SLUICE_DATABASE_URL", testenv.PostgresURL(t))
	t.Setenv("SLUICE_NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("SLUICE_DATA_DIR", dir)
	t.Chdir(dir)
	sluice := func(wantCode int, args ...string) (out, told string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Equal(t, wantCode, run(append([]string{"backfill"}, args...), &stdout, &stderr), "%s%s", &stdout, &stderr)
		return stdout.String(), stderr.String()
	}
	var lines strings.Builder
	for n := range 30 {
		_, body := boughtEvent(n)
		lines.WriteString(strings.ReplaceAll(strings.ReplaceAll(body, "\n", ""), "\t", "") + "\n")
	}
	lines.WriteString("no event\n")
	require.NoError(t, os.WriteFile("bodies.jsonl", []byte(lines.String()), 0o600))

	out, told := sluice(exitFailed, "events", "bodies.jsonl", "--dry-run", "--csv", "new.csv")
	require.Contains(t, out, "Nothing was changed. Of 31 rows, 30 tell something new")
	require.Regexp(t, `NON_RENEWING_PURCHASE +30`, out)
	require.Contains(t, told, "bodies.jsonl:31: it is not JSON")
	require.FileExists(t, "new.csv")
	require.Zero(t, count(t, db, "SELECT count(*) FROM webhook_events"))
	_, told = sluice(exitFailed, "events", "bodies.jsonl")
	require.Contains(t, told, "1 row was rejected")
	require.Equal(t, 30, count(t, db, "SELECT count(*) FROM outbox WHERE lane = 'bulk'"))

	_, err := db.Exec("UPDATE webhook_events SET body = NULL WHERE event_key = 'event-000000'")
	require.NoError(t, err)
	out, _ = sluice(0, "export", "archive.jsonl.gz", "--by", "ann", "--reason", "for staging")
	require.Contains(t, out, "29 webhooks were written, which arrived from 2026-03-01T12:00:00Z")
	require.Contains(t, out, "; 1 was left out, whose bodies went by age (SLUICE_WEBHOOK_BODY_DAYS)")
	info, err := os.Stat("archive.jsonl.gz")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM operator_acts WHERE deed = 'webhooks.export' AND who = 'ann' AND reason = 'for staging'"))
	_, told = sluice(exitBadUsage, "export", "archive.jsonl.gz")
	require.Contains(t, told, "is there already")
	out, told = sluice(0, "export", "--type", "RENEWAL", "--json")
	require.Empty(t, out)
	require.Contains(t, told, `"events": 0`)

	out, _ = sluice(0, "events", "archive.jsonl.gz")
	require.Contains(t, out, "Nothing changed: every row was known already.")
	require.NoError(t, os.WriteFile("list.csv", []byte("app_user_id;aliases;most_recent_purchase_at\nann;ann,anon;1772366400000\nbob;;\n"), 0o600))
	out, _ = sluice(0, "customers", "list.csv", "--dry-run")
	require.Contains(t, out, "1 ids would be linked, and 1 customers would be read from RevenueCat again.")
	out, _ = sluice(0, "customers", "list.csv")
	require.Contains(t, out, "1 customer will be read again by sluice work")
	out, _ = sluice(0, "list")
	require.Equal(t, []int{2, 1}, []int{strings.Count(out, "  events  "), strings.Count(out, "  customers  ")}, out)
	sluice(exitBadUsage, "customers", "list.csv", "--csv", "x.csv")
	sluice(exitBadUsage, "export", "--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z")
}
