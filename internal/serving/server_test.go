package serving_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-gems/sluice/internal/serving"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a server under test.
type served struct {
	addr   string
	stop   context.CancelFunc
	began  chan serving.Left
	closed chan serving.Left
	ended  chan error
}

// serve runs a server that answers with handler.
func serve(t *testing.T, c serving.Config, handler http.HandlerFunc) *served {
	t.Helper()
	socket, err := serving.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	s := &served{
		addr: socket.Addr().String(), stop: stop,
		began: make(chan serving.Left, 1), closed: make(chan serving.Left, 1), ended: make(chan error, 1),
	}
	c.Server = &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	c.Begin = func(l serving.Left) { s.began <- l }
	c.Close = func(l serving.Left) { s.closed <- l }
	go func() { s.ended <- serving.Run(ctx, socket, c) }()
	t.Cleanup(stop)
	return s
}

// dial opens a connection.
func (s *served) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// say sends a request on a connection and reads the answer.
func say(t *testing.T, c net.Conn, from *bufio.Reader) *http.Response {
	t.Helper()
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	return hear(t, from)
}

func hear(t *testing.T, from *bufio.Reader) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	return answer
}

// TestNoRequestIsCutByAStop: clients that keep their connections, and clients that
// open one for every request, send without a break until they are refused. Every
// request that left is answered: a POST is not tried again behind our back.
func TestNoRequestIsCutByAStop(t *testing.T) {
	t.Parallel()
	for name, grace := range map[string]time.Duration{"with grace": 300 * time.Millisecond, "without": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, serving.Config{Grace: grace}, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
			})
			var group sync.WaitGroup
			warm := make(chan struct{}, 100)
			for i := range 12 {
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%4 == 0}}
				pause := time.Duration(i%3) * 10 * time.Millisecond
				group.Go(func() {
					defer client.CloseIdleConnections()
					sent, err := press(client, s.addr, pause, warm)
					assert.Positive(t, sent)
					assert.ErrorIs(t, err, syscall.ECONNREFUSED)
				})
			}
			for range 100 {
				<-warm
			}
			s.stop()
			require.NoError(t, <-s.ended)
			group.Wait()
		})
	}
}

// press sends requests until one fails, and returns why.
func press(client *http.Client, addr string, pause time.Duration, warm chan<- struct{}) (sent int, err error) {
	for ; ; sent++ {
		want := fmt.Sprint(sent)
		answer, err := client.Post("http://"+addr, "text/plain", strings.NewReader(want))
		if err != nil {
			return sent, err
		}
		got, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return sent, err
		}
		if string(got) != want {
			return sent, fmt.Errorf("answered %q, not %q", got, want)
		}
		select {
		case warm <- struct{}{}:
		default:
		}
		if pause > 0 {
			<-time.After(pause)
		}
	}
}

// TestUnusedConnectionsHoldNothingUp: neither one that was never used nor one that
// was; with net/http's Shutdown the patience would be over before the first is closed.
func TestUnusedConnectionsHoldNothingUp(t *testing.T) {
	t.Parallel()
	s := serve(t, serving.Config{Linger: time.Millisecond, Patience: 3 * time.Second}, ok)
	unused, used := s.dial(t), s.dial(t)
	require.Equal(t, http.StatusOK, say(t, used, bufio.NewReader(used)).StatusCode)
	s.stop()
	require.Equal(t, serving.Left{Connections: 2}, <-s.began)
	require.NoError(t, <-s.ended)
	for _, c := range []net.Conn{unused, used} {
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	}
}

// TestGraceTakesNewConnections: until the door closes everything is answered, with
// the wish to be left.
func TestGraceTakesNewConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, serving.Config{Grace: time.Second, Linger: time.Millisecond}, ok)
	kept := s.dial(t)
	reader := bufio.NewReader(kept)
	require.False(t, say(t, kept, reader).Close, "before the stop")
	s.stop()
	<-s.began
	fresh := s.dial(t)
	for c, r := range map[net.Conn]*bufio.Reader{kept: reader, fresh: bufio.NewReader(fresh)} {
		require.True(t, say(t, c, r).Close, "the client may send another request")
	}
	<-s.closed
	_, err := net.Dial("tcp", s.addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, <-s.ended)
}

// TestRequestsInHandAreAnswered: one that is worked on, and one whose header is
// still on its way.
func TestRequestsInHandAreAnswered(t *testing.T) {
	t.Parallel()
	work, inHand := make(chan struct{}), make(chan struct{}, 2)
	s := serve(t, serving.Config{Linger: time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		inHand <- struct{}{}
		<-work
		ok(w, r)
	})
	slow, trickle := s.dial(t), s.dial(t)
	_, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	<-inHand
	_, err = io.WriteString(trickle, "GET / HT")
	require.NoError(t, err)
	s.stop()
	left := <-s.closed
	require.Equal(t, 2, left.Connections)
	_, err = io.WriteString(trickle, "TP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	<-inHand
	select {
	case err := <-s.ended:
		require.FailNow(t, "it ended with requests in hand", "%v", err)
	default:
	}
	close(work)
	for _, c := range []net.Conn{slow, trickle} {
		require.Equal(t, http.StatusOK, hear(t, bufio.NewReader(c)).StatusCode)
	}
	require.NoError(t, <-s.ended)
}

// TestPatienceIsBounded: what does not end is cut, and said to have been.
func TestPatienceIsBounded(t *testing.T) {
	t.Parallel()
	inHand, release := make(chan struct{}), make(chan struct{})
	s := serve(t, serving.Config{Linger: time.Millisecond, Patience: 50 * time.Millisecond}, func(http.ResponseWriter, *http.Request) {
		close(inHand)
		<-release
	})
	c := s.dial(t)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	<-inHand
	s.stop()
	require.ErrorContains(t, <-s.ended, "1 requests were still in hand after 50ms")
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	close(release)
}
