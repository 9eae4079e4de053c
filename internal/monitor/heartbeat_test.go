package monitor_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// watch is a heartbeat whose clock the test sets.
type watch struct {
	*monitor.Heartbeat
	t   *testing.T
	now time.Time
	log bytes.Buffer
}

func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{t: t}
	w.Heartbeat = &monitor.Heartbeat{
		DB: testenv.Postgres(t), Silence: 6 * time.Hour, Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	return w
}

// beat beats at a minute, and returns how many gaps that logged.
func (w *watch) beat(minute int) int {
	w.t.Helper()
	w.now = at(minute)
	w.log.Reset()
	require.NoError(w.t, w.Beat(w.t.Context()))
	return strings.Count(w.log.String(), "webhooks may be missing")
}

func (w *watch) exec(query string, args ...any) {
	w.t.Helper()
	_, err := w.DB.ExecContext(w.t.Context(), query, args...)
	require.NoError(w.t, err)
}

func (w *watch) webhook(minute int, verdict string) {
	w.t.Helper()
	w.exec(`INSERT INTO webhook_events (id, received_at, event_key, verdict, headers) VALUES (gen_random_uuid(), $1, $2, $3, '{}')`, at(minute), at(minute).String(), verdict)
}

func (w *watch) claimed(minute int) {
	w.t.Helper()
	w.exec(`INSERT INTO claims (id, claimed_at, app_user_id, store, transaction_id, product_id, state)
		VALUES ($1, $2::timestamptz, 'ann', 'app_store', $2::text, 'gems', 'pending')`, outbox.NewID(), at(minute))
}

func (w *watch) suspect() []monitor.Gap {
	w.t.Helper()
	webhooks, err := monitor.ReadWebhooks(w.t.Context(), w.DB, w.now)
	require.NoError(w.t, err)
	var gaps []monitor.Gap
	for _, s := range webhooks.Suspect {
		require.Equal(w.t, s.Gap.Command(), s.Command)
		gaps = append(gaps, s.Gap)
	}
	return gaps
}

func (w *watch) resolve(from, until int) int64 {
	w.t.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: w.DB})
	defer committer.Close()
	desk := operations.New(operations.Config{DB: w.DB, Committer: committer, Now: func() time.Time { return w.now }, NewID: outbox.NewID})
	n, err := desk.ResolveGaps(w.t.Context(), operations.Who{Name: "olga", Via: operations.CLI}, "a test", at(from), at(until), "resync", nil)
	require.NoError(w.t, err)
	return n
}

func TestAnOutageLongerThanTheProviderTriesIsAGap(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	require.Zero(t, w.beat(0), "nobody was there before the first beat")
	require.Zero(t, w.beat(155), "the provider's last try finds us")
	require.Equal(t, 1, w.beat(155+156))
	outage := monitor.Gap{Cause: monitor.Outage, From: at(155), Until: at(311)}
	require.Equal(t, []monitor.Gap{outage}, w.suspect())
	require.Contains(t, w.log.String(), outage.Command())
	require.Zero(t, w.beat(312), "it is told once")
	require.Zero(t, w.beat(300), "another process's clock is behind")
	require.Zero(t, w.beat(460))
	require.Zero(t, w.resolve(156, 400), "not all of it")
	require.Equal(t, int64(1), w.resolve(155, 311))
	require.Empty(t, w.suspect())
}

func TestProcessesThatStartTogetherFindOneOutage(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.beat(0)
	w.now = at(1000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			beat := *w.Heartbeat
			beat.Log = slog.New(slog.DiscardHandler)
			require.NoError(t, beat.Beat(t.Context()))
		})
	}
	all.Wait()
	require.Len(t, w.suspect(), 1)
}

func TestASilenceIsAGapThatGrowsUntilAWebhookComes(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.beat(0)
	w.webhook(10, "accepted")
	w.webhook(300, "undecodable") // proves nothing of the purchases
	for minute := 100; minute <= 300; minute += 100 {
		w.claimed(minute)
		require.Zero(t, w.beat(minute))
	}
	w.claimed(371)
	require.Equal(t, 1, w.beat(371))
	require.Zero(t, w.beat(400), "it is told once")
	require.Equal(t, []monitor.Gap{{Cause: monitor.Silence, From: at(10), Until: at(400)}}, w.suspect())

	require.Equal(t, int64(1), w.resolve(10, 390), "while it lasts, what is over of it")
	require.Zero(t, w.beat(420))
	require.Empty(t, w.suspect())
	for minute := 500; minute <= 700; minute += 100 {
		w.claimed(minute)
		require.Zero(t, w.beat(minute))
	}
	w.claimed(751)
	require.Equal(t, 1, w.beat(751), "it lasts, and is told again")
	w.webhook(760, "accepted")
	w.claimed(770)
	require.Zero(t, w.beat(770))
	require.Equal(t, []monitor.Gap{{Cause: monitor.Silence, From: at(390), Until: at(751)}}, w.suspect(), "it is over, and not made up for")
	webhooks, err := monitor.ReadWebhooks(t.Context(), w.DB, at(770))
	require.NoError(t, err)
	require.Equal(t, at(760), *webhooks.Last)
	require.Equal(t, monitor.Seconds(10*time.Minute), webhooks.Silence)
}

func TestMetricsTellOfSilenceAndOfWhatIsSuspect(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	seen := func() map[string]float64 {
		return scrape(t, prometheus.CollectorFunc(func(ch chan<- prometheus.Metric) {
			webhooks, err := monitor.ReadWebhooks(t.Context(), w.DB, at(400))
			require.NoError(t, err)
			webhooks.Collect(ch)
		}))
	}
	require.Equal(t, map[string]float64{"sluice_webhook_suspect_windows outage": 0, "sluice_webhook_suspect_windows silence": 0}, seen(), "webhooks are not taken")
	w.beat(0)
	w.beat(200)
	require.Equal(t, map[string]float64{
		"sluice_webhook_suspect_windows outage": 1, "sluice_webhook_suspect_windows silence": 0, "sluice_webhook_silence_seconds": 24_000,
	}, seen())
}
