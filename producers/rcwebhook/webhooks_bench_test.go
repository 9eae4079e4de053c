package rcwebhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// BenchmarkWebhooks measures webhooks that are committed with fsync on, through the
// whole handler over loopback, with the load generator in the same process. Bodies
// are the documented purchase, 1.2 KB, signed; every one is another event.
//
// The open loop sends at a fixed rate whatever comes back, and counts a webhook's
// time from the moment at which it was due. A hundred spends a second are committed
// beside it by the same committer: first alone, then in the burst. The closed loop
// says what is possible.
//
//	go test -run '^$' -bench Webhooks -benchtime 1x ./producers/rcwebhook
func BenchmarkWebhooks(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as cmd/sluice does
	const rate, span = 2000, 10 * time.Second
	for range b.N {
		s := newBenchServer(b)
		s.open(b, rate, 2*time.Second) // warms up
		alone := s.spends(b, span/2, nil)
		var due []time.Duration
		beside := s.spends(b, span, func() { due = s.open(b, rate, span) })
		b.ReportMetric(float64(len(due))/span.Seconds(), "open/s")
		for _, p := range []float64{50, 99, 99.9} {
			b.ReportMetric(percentile(due, p), fmt.Sprintf("open-p%g-ms", p))
		}
		b.ReportMetric(percentile(alone, 99), "spend-alone-p99-ms")
		b.ReportMetric(percentile(beside, 99), "spend-beside-p99-ms")
		flooded := s.spends(b, span/2, func() { b.ReportMetric(s.closed(b, 256, span/2), "closed/s") })
		b.ReportMetric(percentile(flooded, 99), "spend-flooded-p99-ms")
		var lost int64
		require.NoError(b, s.db.db.Get(&lost, "SELECT $1 - count(*) FROM webhook_events", s.accepted.Load()))
		require.Zero(b, lost, "a webhook that was answered 200 is not there")
		b.ReportMetric(0, "ns/op")
	}
}

// percentile sorts and returns milliseconds.
func percentile(times []time.Duration, p float64) float64 {
	slices.Sort(times)
	return float64(times[min(len(times)-1, int(float64(len(times))*p/100))].Microseconds()) / 1000
}

type benchServer struct {
	addr      string
	db        *bundle
	committer *outbox.Committer
	template  []byte
	sent      atomic.Int64
	accepted  atomic.Int64
}

func newBenchServer(b *testing.B) *benchServer {
	b.Helper()
	server := testenv.DurablePostgres(b)
	db, err := postgres.Open(b.Context(), postgres.Config{URL: server.URL(), MaxConns: 8})
	require.NoError(b, err)
	b.Cleanup(func() { _ = db.Close() })
	s := &benchServer{committer: newCommitter(b, db, 0), db: &bundle{db: db}, template: samples(b)["initial_purchase.json"]}
	in, err := New(Config{
		Committer: s.committer, Environments: Environments{Production: true}, Redact: []string{"$email"},
		Proof: Proof{Authorization: func() string { return authorization }, Secrets: func() []string { return []string{oldSecret, secret} }, Tolerance: time.Minute},
		Log:   slog.New(slog.NewJSONHandler(io.Discard, nil)), //nolint:sloglint // a line costs what it costs: it is written, and thrown away
	})
	require.NoError(b, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	mux := http.NewServeMux()
	in.Routes(mux)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = web.Serve(listener) }()
	b.Cleanup(func() { _ = web.Close() })
	s.addr = listener.Addr().String()
	return s
}

// next is another request, whole.
func (s *benchServer) next() []byte {
	n := s.sent.Add(1)
	body := bytes.Replace(s.template, []byte("0E6A3F0B-0001"), fmt.Appendf(nil, "0E6A3F0B-%08d", n), 1)
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: %s\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
		Path, authorization, signatureHeader, sign(body, time.Now(), secret), len(body), body)
}

// send sends a request on a keep-alive connection and reads the empty answer.
func (s *benchServer) send(conn net.Conn, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var answer [2048]byte
	for got := 0; ; {
		n, err := conn.Read(answer[got:])
		if err != nil {
			return err
		}
		got += n
		if !bytes.HasSuffix(answer[:got], []byte("\r\n\r\n")) {
			continue
		}
		if !bytes.HasPrefix(answer[:got], []byte("HTTP/1.1 200 ")) {
			return errors.New(strings.ToValidUTF8(string(answer[:got]), "?"))
		}
		s.accepted.Add(1)
		return nil
	}
}

// open sends at a rate for a span and returns each webhook's time since it was due.
func (s *benchServer) open(b *testing.B, rate int, span time.Duration) []time.Duration {
	b.Helper()
	type due struct {
		at    time.Time
		which int
	}
	total := rate * int(span/time.Second)
	took := make([]time.Duration, total)
	queue := make(chan due, total)
	var group sync.WaitGroup
	for range 512 {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(b, err)
		group.Go(func() {
			defer func() { _ = conn.Close() }()
			for d := range queue {
				if err := s.send(conn, s.next()); err != nil {
					b.Error(err)
					return
				}
				took[d.which] = time.Since(d.at)
			}
		})
	}
	began := time.Now()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 0; i < total; {
		<-ticker.C
		for ; i < total; i++ {
			at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
			if at.After(time.Now()) {
				break
			}
			queue <- due{at, i}
		}
	}
	close(queue)
	group.Wait()
	return took
}

// closed sends on so many connections, each as fast as it is answered, and returns
// the webhooks a second.
func (s *benchServer) closed(b *testing.B, clients int, span time.Duration) float64 {
	b.Helper()
	before, began := s.accepted.Load(), time.Now()
	var group sync.WaitGroup
	for range clients {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(b, err)
		group.Go(func() {
			defer func() { _ = conn.Close() }()
			for time.Since(began) < span {
				if err := s.send(conn, s.next()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return float64(s.accepted.Load()-before) / time.Since(began).Seconds()
}

var benchSpends atomic.Int64

// spends commits a hundred spends a second for a span, beside what else is done, and
// returns how long each took since it was due.
func (s *benchServer) spends(b *testing.B, span time.Duration, beside func()) []time.Duration {
	b.Helper()
	var group sync.WaitGroup
	if beside != nil {
		group.Go(beside)
	}
	const every = 10 * time.Millisecond
	took := make([]time.Duration, span/every)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := range took {
		at := <-ticker.C
		group.Go(func() {
			id, player := outbox.NewID(), "player-"+strconv.FormatInt(benchSpends.Add(1), 10)
			result, err := s.committer.Commit(b.Context(), outbox.Effects{
				Guard: books.Accept{Spend: economy.Spend{
					ID: id, AppUserID: player, IdempotencyKey: "k", Item: "sword", Quantity: 1, Cost: economy.Amounts{"GEM": 1}, CatalogVersion: 1,
					State: economy.Requested, AcceptedAt: at.UTC().Truncate(time.Microsecond),
				}},
				Events: []events.Event{events.NewSpendRequested(id, player, at.UTC())}, Owner: player, Intake: true,
			})
			if took[i] = time.Since(at); err != nil || result != outbox.Applied {
				b.Error(result, err)
			}
		})
	}
	group.Wait()
	return took
}
