package revenuecat

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TimeoutDefault bounds one HTTP call when Config.Timeout is 0. RevenueCat
// publishes no figure; a write slower than this is better asked again by its key.
const TimeoutDefault = 5 * time.Second

// Config says which project is spoken to, and how.
type Config struct {
	BaseURL   string           // such as https://api.revenuecat.com/v2, with a trailing slash or without
	ProjectID string           // such as proj1ab2c3d4
	SecretKey func() string    // a v2 secret key; asked before every call, so that it can rotate without a restart
	Timeout   time.Duration    // of one HTTP call, connecting included; 0: TimeoutDefault
	HTTP      *http.Client     // nil: a client with our own transport; its redirects and timeout are never used
	Log       *slog.Logger     // nil: nothing is logged
	Now       func() time.Time // nil: time.Now
	Observe   func(Call)       // nil: nobody watches; called after every HTTP call, by the goroutine that made it
}

// Client is safe for use by many goroutines. Create it with New.
type Client struct {
	project   string // base URL and escaped project, no trailing slash
	secretKey func() string
	timeout   time.Duration
	http      *http.Client
	log       *slog.Logger
	now       func() time.Time
	observe   func(Call)
	gate      gate
}

// New checks the configuration, all of it at once, and returns a client. It
// opens no connection and asks for no key.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if cfg.ProjectID == "" {
		err = errors.Join(err, errors.New("project id is empty"))
	}
	if cfg.SecretKey == nil {
		err = errors.Join(err, errors.New("no secret key function"))
	}
	if cfg.Timeout < 0 {
		err = errors.Join(err, fmt.Errorf("timeout %s is negative", cfg.Timeout))
	}
	if err != nil {
		return nil, fmt.Errorf("revenuecat: %w", err)
	}
	c := &Client{
		project:   base + "/projects/" + escapeSegment(cfg.ProjectID),
		secretKey: cfg.SecretKey,
		timeout:   cmp.Or(cfg.Timeout, TimeoutDefault),
		log:       cfg.Log,
		now:       cfg.Now,
		observe:   cfg.Observe,
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.observe == nil {
		c.observe = func(Call) {}
	}
	c.http = newHTTPClient(cfg.HTTP, c.timeout)
	return c, nil
}

// Close closes the connections that are idle. Calls under way are not touched,
// and a later call opens a new connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// parseBase returns the base URL without its trailing slashes. Its errors hold
// no user and no password.
func parseBase(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", errors.New("base URL cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", fmt.Errorf("base URL %q: use http:// or https:// and a host", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", fmt.Errorf("base URL %q: a user, a query or a fragment has no place in it", u.Redacted())
	}
	return strings.TrimRight(raw, "/"), nil
}
