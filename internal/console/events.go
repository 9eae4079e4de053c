package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// eventPatience bounds the wait for a slow reader, streamMax the life of one
	// stream: the browser begins another, and its session is looked at again.
	eventPatience = 20 * time.Second
	streamMax     = 10 * time.Minute
)

// events sends the overview's live parts for as long as somebody looks.
func (c *Console) events(q *request) error {
	unwatch := c.sampler.watch()
	defer unwatch()
	control := http.NewResponseController(q.w)
	header := q.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would keep events back
	send := func(name string, data any) error {
		raw, err := json.Marshal(data)
		if err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Now().Add(eventPatience)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(q.w, "event: %s\ndata: %s\n\n", name, raw); err != nil {
			return err
		}
		return control.Flush()
	}
	_, points, more := c.sampler.state()
	if send("points", points) != nil {
		return nil // the browser went away
	}
	over := time.NewTimer(streamMax)
	defer over.Stop()
	for {
		if err := c.sendNow(send); err != nil {
			return nil // the browser went away, or asks again when it can be told
		}
		select {
		case <-q.Context().Done():
			return nil
		case <-c.leaving:
			return nil
		case <-over.C:
			return nil
		case <-more:
		}
		if _, err := c.readSession(q.Context(), q.session.token); err != nil {
			return nil // logged out: asking again leads to the login
		}
		_, _, more = c.sampler.state()
	}
}

// sendNow sends the newest point and the parts of the page that change with it.
func (c *Console) sendNow(send func(string, any) error) error {
	shot, points, _ := c.sampler.state()
	if len(points) == 0 {
		return nil
	}
	var html bytes.Buffer
	if err := pages["overview"].ExecuteTemplate(&html, "live", overviewOf(shot, points)); err != nil {
		return err
	}
	return send("now", map[string]any{"point": points[len(points)-1], "html": strings.TrimSpace(html.String())})
}
