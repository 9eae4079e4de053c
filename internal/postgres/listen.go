package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// A lost connection is tried again after listenRetryMin, doubled up to listenRetryMax.
const (
	listenRetryMin = 50 * time.Millisecond
	listenRetryMax = 2 * time.Second
)

// Heard is what Listen has to tell.
type Heard int

// What Listen tells.
const (
	Connected Heard = iota // notices come from now on; what was said before is lost
	Deaf                   // the connection is lost, or could not be made: notices are missed
	Notice                 // somebody called pg_notify on the channel
)

// Listen connects to the database at c.URL, on a connection of its own, and calls
// hear for every notice on channel until ctx ends; then it returns nil. A lost
// connection is made again, for ever. hear is also told when the connection comes
// and goes, so that it can read again what it missed; it must return soon, and may
// be called by two goroutines at once. A server that vanished without a word is
// found after half a minute (keepAlive). It fails when the URL cannot be understood,
// or the server refuses to LISTEN.
func Listen(ctx context.Context, c Config, channel string, hear func(heard Heard, payload string)) error {
	dsn, err := listenerDSN(c)
	if err != nil {
		return err
	}
	listener := pq.NewDialListener(dialer{}, dsn, listenRetryMin, listenRetryMax, func(event pq.ListenerEventType, _ error) {
		if event == pq.ListenerEventDisconnected || event == pq.ListenerEventConnectionAttemptFailed {
			hear(Deaf, "")
		}
	})
	listening := make(chan error, 1)
	go func() { listening <- listener.Listen(channel) }()
	defer func() { _ = listener.Close() }() // fails only when closed twice
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-listening:
			if err != nil {
				return fmt.Errorf("listen on %s: %w", channel, err)
			}
			listening = nil // a nil channel never speaks
			hear(Connected, "")
		case notice := <-listener.Notify:
			if notice == nil {
				hear(Connected, "")
				continue
			}
			hear(Notice, notice.Extra)
		}
	}
}

// listenerDSN says for lib/pq's listener, which takes only text, what parse says
// for pools. What the text leaves out comes from the environment again.
func listenerDSN(c Config) (string, error) {
	config, err := parse(c)
	if err != nil {
		return "", err
	}
	say := map[string]string{
		"application_name": config.ApplicationName,
		"connect_timeout":  strconv.Itoa(max(1, int(config.ConnectTimeout.Seconds()))),
	}
	if config.SSLMode == pq.SSLModeDisable {
		say["sslmode"] = string(pq.SSLModeDisable)
	}
	if !strings.HasPrefix(c.URL, "postgres://") && !strings.HasPrefix(c.URL, "postgresql://") {
		dsn := c.URL
		for key, value := range say {
			dsn += " " + key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
		}
		return dsn, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", errors.New("database URL cannot be parsed")
	}
	query := u.Query()
	for key, value := range say {
		query.Set(key, value)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
