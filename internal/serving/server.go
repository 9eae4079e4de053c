package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// LingerDefault is how long a connection must have been quiet to be closed
	// under a client: who sends more than once a second is told with an answer.
	LingerDefault = time.Second
	// PatienceDefault bounds the wait for requests in hand. It is longer than the
	// longest a request may take by itself, the 30 s of a batch.
	PatienceDefault = 35 * time.Second
	// settleTime lets handshakes end that had begun when the door closed: some
	// round trips within a region.
	settleTime = 50 * time.Millisecond
	settleMax  = time.Second
	// lookEvery is how often the end looks at what is left.
	lookEvery = 10 * time.Millisecond
)

// Config says what is served and how it ends. What is not marked optional is
// required.
type Config struct {
	Server   *http.Server  // its handler and its limits; Run sets ConnState
	Grace    time.Duration // optional: how long new connections are taken after ctx has ended
	Linger   time.Duration // optional: LingerDefault
	Patience time.Duration // optional: PatienceDefault
	Begin    func(Left)    // optional: ctx has ended; say so where load balancers look
	Close    func(Left)    // optional: the door is closed; send away who waits for something slow
}

// Left is what an end still has before it.
type Left struct {
	Requests    int // in hand
	Connections int // open, those of the requests included
}

// Run serves on socket until ctx ends, then ends as the package says and returns
// nil. It owns the socket. Errors: the socket fails, or requests are still in hand
// when the patience is over; their connections are then cut.
func Run(ctx context.Context, socket *net.TCPListener, c Config) error {
	if c.Linger == 0 {
		c.Linger = LingerDefault
	}
	if c.Patience == 0 {
		c.Patience = PatienceDefault
	}
	s := &server{Config: c, door: &door{TCPListener: socket, open: map[*conn]struct{}{}}}
	c.Server.ConnState = s.door.note
	c.Server.Handler = s.closing(c.Server.Handler)
	failed := make(chan error, 1)
	go func() { failed <- c.Server.Serve(s.door) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return s.end(failed)
}

type server struct {
	Config
	door   *door
	ending atomic.Bool
}

// closing has every answer to a request that came after the end began ask the
// client to close.
func (s *server) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ending.Load() {
			w.Header()["Connection"] = []string{"close"}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) end(failed <-chan error) error {
	s.ending.Store(true)
	if s.Begin != nil {
		s.Begin(s.door.left())
	}
	if s.Grace > 0 {
		if err := wait(failed, s.Grace); err != nil {
			return err
		}
	}
	if s.door.refuseNew() {
		// At least for the handshakes, and longer when the machine is too busy to
		// accept what is queued.
		for deadline := time.Now().Add(settleMax); ; {
			if err := wait(failed, settleTime); err != nil {
				return err
			}
			if s.door.queued() == 0 || time.Now().After(deadline) {
				break
			}
		}
	}
	if err := s.door.TCPListener.Close(); err != nil {
		return fmt.Errorf("stop listening: %w", err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) { // from here on the list of those open is complete
		return err
	}
	if s.Close != nil {
		s.Close(s.door.left())
	}
	return s.finish()
}

// wait lets time pass while the server serves on; an error is that it does not.
func wait(failed <-chan error, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

// finish returns when no connection is left.
func (s *server) finish() error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for deadline := time.Now().Add(s.Patience); ; <-ticker.C {
		s.door.closeQuiet(s.Linger)
		left := s.door.left()
		if left.Connections == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			_ = s.Server.Close() // its only error is of the socket, which is closed
			return fmt.Errorf("%d requests were still in hand after %s: they were cut", left.Requests, s.Patience)
		}
	}
}
