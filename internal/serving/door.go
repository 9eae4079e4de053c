package serving

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Listen opens a socket at addr, host:port. It is one of plain TCP: Go's default,
// Multipath TCP, takes no filter, see refuseNew.
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	config := &net.ListenConfig{}
	config.SetMultipathTCP(false)
	socket, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return socket.(*net.TCPListener), nil
}

// door is the socket, and knows every connection that came in through it.
type door struct {
	*net.TCPListener
	mu   sync.Mutex
	open map[*conn]struct{}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	accepted, err := d.AcceptTCP()
	if err != nil {
		return nil, err
	}
	c := &conn{TCPConn: accepted}
	c.rest()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[c] = struct{}{}
	return c, nil
}

// note follows a connection's states. Between two requests it is quiet; that one
// begins, its first byte says, see Read.
func (d *door) note(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.rest()
	case http.StateHijacked, http.StateClosed:
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, c)
	case http.StateNew, http.StateActive:
	}
}

// left counts what is open.
func (d *door) left() Left {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := Left{Connections: len(d.open)}
	for c := range d.open {
		if c.quiet.Load() == 0 {
			l.Requests++
		}
	}
	return l
}

// closeQuiet closes what has been quiet for so long. net/http then finds it
// closed, and note takes it off the list.
func (d *door) closeQuiet(linger time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := uptime() - linger
	for c := range d.open {
		if quiet := time.Duration(c.quiet.Load()); quiet != 0 && quiet <= last && !c.unread() {
			_ = c.Close() // fails only when it is closed already
		}
	}
}

// conn is a connection that knows since when nobody has asked anything on it.
type conn struct {
	*net.TCPConn
	quiet atomic.Int64 // as uptime says; 0: a request is coming in or in hand
}

func (c *conn) rest() { c.quiet.Store(int64(uptime())) }

// epoch is where uptime counts from, by the monotonic clock: setting the clock
// makes no connection older.
var epoch = time.Now()

// uptime is never 0.
func uptime() time.Duration { return time.Since(epoch) + 1 }

// Read implements net.Conn. net/http calls a connection active only when the whole
// header is there; it must not be closed under one that is still coming.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 {
		c.quiet.Store(0)
	}
	return n, err
}
