package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/bench"
)

// smallBench is a load of a second that CI can bear. Nothing is asserted about how
// fast it is. Each of its players buys something, however slow the machine.
var smallBench = []string{"--for", "1s", "--warm-up", "500ms", "--clients", "4", "--players", "4", "--json"}

// benches runs `sluice bench` and returns its report.
func benches(t *testing.T, env []string, args ...string) (code int, report bench.Report, log string) {
	t.Helper()
	code, out, log := runs(t, env, append([]string{"bench"}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &report), "%s\n%s", out, log)
	return code, report, log
}

// requireFigures wants each of the figures, from every run. What does not depend on
// how fast the machine is must be above zero.
func requireFigures(t *testing.T, report bench.Report, runs int, keys ...string) {
	t.Helper()
	for _, key := range keys {
		figure := report.Figures.Of(key)
		require.NotNil(t, figure, "%s is missing in %+v", key, report)
		require.Len(t, figure.Runs, runs, key)
		rate := strings.HasSuffix(key, "_per_second") || strings.HasSuffix(key, "_to_baseline") // in time or not at all
		ticks := strings.HasPrefix(key, "cpu_") || strings.HasPrefix(key, "share_")             // in hundredths of a second
		if !rate && !ticks {
			require.Positive(t, figure.Min, key)
		}
	}
}

// figuresOfAnySite are known of every site, figuresOfOurs of one that we started.
var (
	figuresOfAnySite = []string{
		"accepted_per_second", "fulfilled_while_loaded_per_second", "fulfilled_overall_per_second", "requests",
		"http_ms_p50", "http_ms_p99", "committed_ms_p50", "accepted_to_fulfilled_ms_p50", "total_ms_p50", "total_ms_p999", "total_ms_max",
	}
	figuresOfOurs = slices.Concat(figuresOfAnySite, []string{
		"published_ms_p50", "charged_ms_p50", "fulfilled_ms_p50", "cpu_us_service_per_spend", "cpu_us_postgres_per_spend",
		"cpu_us_service_and_postgres_per_spend", "cpu_us_simulator_per_spend", "wal_bytes_per_spend", "provider_calls_per_spend",
		"allocations_per_spend", "allocated_bytes_per_spend", "share_service", "share_postgres", "effects_per_commit", "commits_per_second",
		"transactions_per_spend",
	})
)

// TestBenchMeasuresAPrivateSite, in both layouts and both loops, with everything
// that can be asked for, and leaves nothing behind. It takes longer than others: a
// site is made anew for every measurement.
func TestBenchMeasuresAPrivateSite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		args    []string
		runs    int
		figures []string
		notes   string
		says    []string
	}{
		{
			"closed loop, baseline, held transaction", []string{"--runs", "2", "--baseline", "pgbench", "--baseline-clients", "2", "--hold-transaction"}, 2,
			[]string{"baseline_tps", "accepted_to_baseline", "fulfilled_to_baseline"}, "a transaction with a snapshot was open",
			[]string{"run 2 of 2: pgbench", "run 2 of 2: 1s after"},
		},
		{
			"open loop, many processes, faults, settings",
			[]string{
				"--rate", "40", "--poisson", "--layout", "many", "--item", "cursed_relic", "--delay", "2ms", "--faults", `{"fail_before":0.05}`,
				"--set", "SLUICE_WORK_CONCURRENCY=8",
			}, 1,
			[]string{"refunded", "cpu_us_serve_per_spend", "cpu_us_work_per_spend"}, "", nil,
		},
		{"waiting for the outcome", []string{"--wait", "10s", "--item", "twin_blade"}, 1, nil, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t)
			code, report, log := benches(t, nil, slices.Concat([]string{"spend", "--drain-within", "1m", "--dir", dir}, smallBench, test.args)...)
			require.Zero(t, code, "%s\n%+v", log, report)
			want := slices.Concat(figuresOfOurs, test.figures)
			if slices.Contains(test.args, "cursed_relic") { // it is never fulfilled
				want = slices.DeleteFunc(want, func(key string) bool {
					return strings.Contains(key, "fulfilled") || strings.HasPrefix(key, "total_")
				})
			}
			requireFigures(t, report, test.runs, want...)
			require.Contains(t, strings.Join(report.Notes, "\n"), test.notes)
			require.Contains(t, strings.Join(report.Verified, "\n"), "the provider's balances are those of the ledger")
			require.Empty(t, report.Wrong)
			require.Contains(t, report.Database, "fsync on")
			for _, says := range test.says {
				require.Contains(t, log, says)
			}
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left, "the folder is left behind")
		})
	}
}

// TestBenchSoakLooksAtWhatMayGrow: a second of it is not judged.
func TestBenchSoakLooksAtWhatMayGrow(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	code, out, log := runs(t, nil, append([]string{"bench", "soak", "--rate", "40", "--every", "200ms", "--dir", dir, "--keep", "--profile", dir}, smallBench[:len(smallBench)-1]...)...)
	require.Zero(t, code, log)
	for _, what := range []string{
		"nothing is called growing", "memory of service", "live heap of service", "goroutines of service", "open files of service", "table outbox", "dead rows of outbox",
		"stream", "table spends", "by design", "verified: every one of", "accepted (durable)",
	} {
		require.Contains(t, out, what, log)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "sluice-bench-*", "dev.log"))
	require.NoError(t, err)
	require.Len(t, kept, 1, log)
	profile, err := os.Stat(filepath.Join(dir, "dev.pprof"))
	require.NoError(t, err)
	require.Positive(t, profile.Size())
}

// TestBenchOfARunningSiteVerifiesItsBooks: with its database, and through its API
// alone; and an item that was handed over once too often is found.
func TestBenchOfARunningSiteVerifiesItsBooks(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	state, err := readDevState(s.folder)
	require.NoError(t, err)
	files := t.TempDir()
	secretFile, keyFile := filepath.Join(files, "secret"), filepath.Join(files, "key")
	require.NoError(t, os.WriteFile(secretFile, []byte(sessionSecret+"\n"), 0o600))
	require.NoError(t, os.WriteFile(keyFile, []byte(state.ServerKey+"\n"), 0o600))
	at := append([]string{"spend", "--drain-within", "1m", "--url", "http://" + s.apiAddr, "--server-key-file", keyFile, "--grant", "10000"}, smallBench...)
	alone := []string{"SLUICE_DATA_DIR=" + files} // knows nothing of the site

	for _, test := range []struct {
		name    string
		env     []string
		args    []string
		figures []string
		says    string
	}{
		{"with its database and broker", s.env, nil, append([]string{"wal_bytes_per_spend", "published_ms_p50"}, figuresOfAnySite...), "the ledger has the lines"},
		{"as players", alone, []string{"--session-secret-file", secretFile}, figuresOfAnySite, "by the API"},
		{"as the game's server", alone, []string{"--rate", "20"}, figuresOfAnySite, "by the API"},
	} {
		code, report, log := benches(t, test.env, append(slices.Clone(at), test.args...)...)
		require.Zero(t, code, "%s: %s\n%+v", test.name, log, report)
		requireFigures(t, report, 1, test.figures...)
		require.Nil(t, report.Figures.Of("cpu_us_service_per_spend"), test.name)
		require.Nil(t, report.Figures.Of("declined"), test.name)
		require.Contains(t, strings.Join(report.Verified, "\n"), test.says, test.name)
	}

	code, report, log := benches(t, s.env, append(slices.Clone(at), "--item", "nosuch")...)
	require.Equal(t, exitFailed, code, log)
	requireFigures(t, report, 1, "other_answers", "other_answers_400")
	require.Len(t, report.Missed, 1)
	require.Contains(t, log, "no request accepted")

	_, err = s.database().ExecContext(t.Context(), `CREATE FUNCTION too_many() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN NEW.quantity := NEW.quantity + 1; RETURN NEW; END $$;
		CREATE TRIGGER too_many BEFORE INSERT ON inventory_grants FOR EACH ROW EXECUTE FUNCTION too_many()`)
	require.NoError(t, err)
	code, report, log = benches(t, s.env, at...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, log, "the books are wrong: 1 of")
	require.Len(t, report.Wrong, 1)
	require.Contains(t, report.Wrong[0], "players hold what was fulfilled")
}

func TestBenchRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"spend --clients -1", exitBadUsage, "--clients"},
		{"spend --players 0", exitBadUsage, "--players"},
		{"spend --rate -1", exitBadUsage, "--rate"},
		{"spend --for 0s", exitBadUsage, "--for"},
		{"spend --runs 0", exitBadUsage, "--runs"},
		{"spend --wait 500ms", exitBadUsage, "--wait"},
		{"spend --layout two", exitBadUsage, "one"},
		{"spend --baseline pgbench --for 100ms", exitBadUsage, "--for"},
		{"spend --set WORK=1", exitBadUsage, "SLUICE_NAME"},
		{"spend --grant 5", exitBadUsage, "--url"},
		{"spend --url nowhere", exitBadUsage, "http://127.0.0.1:8080"},
		{"spend --url http://127.0.0.1:1", exitBadUsage, "SLUICE_SESSION_SECRET"},
		{"spend --url http://127.0.0.1:1 --hold-transaction --session-secret-file /proc/self/comm", exitBadUsage, "set SLUICE_DATABASE_URL"},
		{"spend --drain-within -1s", exitBadUsage, "--drain-within"},
		{"spend --url http://127.0.0.1:1 --delay 1s", exitBadUsage, "private site"},
		{"spend --url http://127.0.0.1:1 --session-secret-file /nowhere", exitFailed, "/nowhere"},
		{"spend --url http://127.0.0.1:1 --session-secret-file /proc/self/comm", exitFailed, "connect"},
		{"spend --set SLUICE_NOSUCH=1 --for 1s", exitFailed, "SLUICE_NOSUCH"},
		{"soak --rate 0", exitBadUsage, "--rate"},
		{"soak --for 1s", exitBadUsage, "--every"},
	} {
		code, _, log := runs(t, []string{"SLUICE_DATA_DIR=" + t.TempDir()}, append([]string{"bench"}, strings.Fields(test.args)...)...)
		assert.Equal(t, test.code, code, "%s: %s", test.args, log)
		assert.Contains(t, log, test.says, test.args)
	}
}
