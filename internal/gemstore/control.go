package gemstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// control is the control side of a server that plays something foreign.
type control struct {
	base   string // without a slash at the end; empty: there is none
	client *http.Client
}

// controlPatience bounds a call to a server in this very process.
const controlPatience = 5 * time.Second

// answerMax bounds what is read of an answer.
const answerMax = 8 << 20

// errNoControl says that something foreign is not played here.
var errNoControl = errors.New("it is not played by this sluice dev: the settings name another one")

// call calls the control side and decodes what it shows into into, unless nil.
func (c control) call(ctx context.Context, method, path string, body, into any, headers ...string) error {
	if c.base == "" {
		return errNoControl
	}
	ctx, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, bytes.TrimSpace(said[:min(len(said), whyMax)]))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(said, into)
}
