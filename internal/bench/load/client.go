package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Caller is a player, or a game's server that spends for one.
type Caller struct {
	Token string // of the session, or the server's key
	Name  string // App User ID
}

// Target is an API and what is asked of it. Its zero numbers and words are useful
// defaults, except for Addr and Item.
type Target struct {
	Addr     string // host:port
	Host     string // of the Host header and the certificate; "": Addr
	TLS      bool
	BasePath string // in front of /spend, such as /sluice
	Item     string
	Prefer   string // of the Prefer header; "": respond-async
	Server   bool   // POST /spends/batch with one entry, by a server's key
	Keys     string // begins every idempotency key: two loads of one installation need two
}

// keyWidth is the digits of a key: requests of one length need no arithmetic.
const keyWidth = 12

// template is a Target written out, but for what differs from request to request.
type template struct {
	head             string // to the length of the body
	auth             string // to the token
	open, mid, close string // the body around the name and the key
	server           bool
}

func (t Target) template() template {
	path, prefer, host := "/spend", t.Prefer, t.Host
	if prefer == "" {
		prefer = "respond-async"
	}
	if host == "" {
		host = t.Addr
	}
	w := template{open: `{"item":"` + t.Item + `","idempotencyKey":"` + t.Keys, close: `"}`, server: t.Server}
	if t.Server {
		path = "/spends/batch"
		w.open, w.mid, w.close = `{"spends":[{"app_user_id":"`, `","item":"`+t.Item+`","idempotency_key":"`+t.Keys, `"}]}`
	}
	w.head = "POST " + t.BasePath + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nPrefer: " + prefer + "\r\nContent-Length: "
	w.auth = "\r\nAuthorization: Bearer "
	return w
}

// request appends the request of a caller under a key.
func (w *template) request(out []byte, c Caller, key int64) []byte {
	name := ""
	if w.server {
		name = c.Name
	}
	out = append(out, w.head...)
	out = strconv.AppendInt(out, int64(len(w.open)+len(name)+len(w.mid)+keyWidth+len(w.close)), 10)
	out = append(append(append(out, w.auth...), c.Token...), "\r\n\r\n"...)
	out = append(append(append(append(out, w.open...), name...), w.mid...), "000000000000"...)
	for at := len(out) - 1; key > 0; at, key = at-1, key/10 {
		out[at] = byte('0' + key%10)
	}
	return append(out, w.close...)
}

// answerMax is the largest answer; one with a problem has some hundred bytes.
const answerMax = 16 << 10

// answerPatience is how long an answer may take: longer than the API waits for an
// outcome at most.
const answerPatience = 40 * time.Second

// Client is one keep-alive connection to a Target, for one goroutine at a time.
type Client struct {
	target   Target
	template template
	out, in  []byte

	mu   sync.Mutex // guards the change of conn
	conn net.Conn
	cut  bool
}

// Dial connects.
func Dial(ctx context.Context, t Target) (*Client, error) {
	c := &Client{target: t, template: t.template(), in: make([]byte, answerMax)}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) dial(ctx context.Context) error {
	host, _, err := net.SplitHostPort(c.target.Addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", c.target.Addr, err)
	}
	var conn net.Conn
	if c.target.TLS {
		conn, err = (&tls.Dialer{Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", c.target.Addr)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.target.Addr)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	if c.cut {
		_ = conn.SetDeadline(time.Now())
	}
	return nil
}

// patience bounds what is read and written from now on.
func (c *Client) patience(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cut {
		_ = c.conn.SetDeadline(until)
	}
}

// interrupt has every read and write end now, from any goroutine.
func (c *Client) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	_ = c.conn.SetDeadline(time.Now())
}

// Close closes the connection.
func (c *Client) Close() { _ = c.conn.Close() }

// Answer is what a request was told.
type Answer struct {
	Status int       // of the spend; 0: there was no answer
	ID     uuid.UUID // of the spend; zero: there is none
}

// Accepted reports whether the spend was accepted, and so is durable.
func (a Answer) Accepted() bool { return a.Status/100 == 2 && a.ID != uuid.Nil }

// Spend asks for a spend and returns the answer. After an error the connection is
// no longer good, and nobody knows whether the spend was accepted.
func (c *Client) Spend(caller Caller, key int64) (Answer, error) {
	if err := c.send(caller, key); err != nil {
		return Answer{}, err
	}
	return c.answer()
}

func (c *Client) send(caller Caller, key int64) error {
	c.out = c.template.request(c.out[:0], caller, key)
	_, err := c.conn.Write(c.out)
	return err
}

// answer reads one answer to its end.
func (c *Client) answer() (Answer, error) {
	for got := 0; ; {
		n, err := c.conn.Read(c.in[got:])
		if err != nil {
			return Answer{}, err
		}
		got += n
		a, whole, err := c.parse(c.in[:got])
		if whole || err != nil {
			return a, err
		}
		if got == len(c.in) {
			return Answer{}, fmt.Errorf("an answer of more than %d bytes", answerMax)
		}
	}
}

var errNoLength = errors.New("an answer without Content-Length, which this client does not read")

// parse reads an answer, if all of it is there.
func (c *Client) parse(raw []byte) (a Answer, whole bool, err error) {
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		return a, false, nil
	}
	_, after, ok := bytes.Cut(head, []byte("Content-Length: "))
	if !ok {
		if _, after, ok = bytes.Cut(head, []byte("content-length: ")); !ok {
			return a, false, errNoLength
		}
	}
	length, rest := number(after)
	if len(after) == len(rest) || len(head) < len("HTTP/1.1 200") {
		return a, false, fmt.Errorf("not an HTTP/1.1 answer: %.60q", head)
	}
	if len(body) < length {
		return a, false, nil
	}
	a.Status, _ = number(head[len("HTTP/1.1 "):])
	body = body[:length]
	if c.template.server && a.Status == 200 {
		if _, status, ok := bytes.Cut(body, []byte(`"status":`)); ok {
			a.Status, _ = number(status)
		}
	}
	if _, spend, ok := bytes.Cut(body, []byte(`"spend":{"id":"`)); ok && len(spend) >= 36 {
		a.ID, err = uuid.ParseBytes(spend[:36])
	}
	return a, true, err
}

// number reads the digits that s begins with and returns what follows them.
func number(s []byte) (n int, rest []byte) {
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' && n < 1<<30 {
		n, s = 10*n+int(s[0]-'0'), s[1:]
	}
	return n, s
}
