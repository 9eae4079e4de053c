package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/bench/load"
)

// A site whose database cannot be reached is asked through its API.

// askers is how many requests are under way at once.
const askers = 16

func (s *Site) url(path string) string {
	scheme := "http://"
	if s.TLS {
		scheme = "https://"
	}
	return scheme + s.API + s.BasePath + path
}

// ask makes one request and decodes its answer. After a 429 or 503 it waits as long
// as it was told and asks again, for as long as ctx lasts.
func (b *Bench) ask(ctx context.Context, method, path, token string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	for {
		request, err := http.NewRequestWithContext(ctx, method, b.Site.url(path), bytes.NewReader(raw))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		switch {
		case err != nil:
			return err
		case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusServiceUnavailable:
			seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
			select {
			case <-time.After(max(time.Duration(seconds)*time.Second, restEvery)):
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case answer.StatusCode/100 != 2:
			return fmt.Errorf("%s %s: %s: %.200s", method, path, answer.Status, said)
		case into == nil:
			return nil
		}
		return json.Unmarshal(said, into)
	}
}

// each calls do for the numbers below n, some at a time, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	next := make(chan int)
	for range askers {
		group.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// grant gives every player of another's site what they spend.
func (b *Bench) grant(ctx context.Context) error {
	return each(ctx, len(b.callers), func(ctx context.Context, i int) error {
		return b.ask(ctx, http.MethodPost, "/grants", b.Server, map[string]any{
			"app_user_id": b.callers[i].Name, "adjustments": b.Grant, "reason": "bench", "idempotency_key": b.Label + "-grant",
		}, nil)
	})
}

// askOutcomes asks for every accepted spend until it is final.
func (b *Bench) askOutcomes(ctx context.Context, r *result, note func(times)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.Patience, fmt.Errorf("not every accepted spend was final %s after the load", b.Patience))
	defer cancel()
	ids := make([]uuid.UUID, 0, len(r.named))
	for id := range r.named {
		ids = append(ids, id)
	}
	var mu sync.Mutex
	return each(ctx, len(ids), func(ctx context.Context, i int) error {
		record := r.records[r.named[ids[i]]]
		t, err := b.askFinal(ctx, ids[i], record)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		note(t)
		return nil
	})
}

func (b *Bench) askFinal(ctx context.Context, id uuid.UUID, record load.Record) (times, error) {
	for {
		var spend struct {
			State    string     `json:"state"`
			Accepted time.Time  `json:"accepted_at"`
			Charged  *time.Time `json:"charged_at"`
			Finished *time.Time `json:"finished_at"`
		}
		if err := b.ask(ctx, http.MethodGet, "/spends/"+id.String(), b.callers[record.Caller].Token, nil, &spend); err != nil {
			return times{}, fmt.Errorf("accepted spend %s: %w", id, err)
		}
		if economy.State(spend.State).Final() {
			return times{id, spend.State, spend.Accepted, spend.Charged, spend.Finished}, nil
		}
		select {
		case <-time.After(restEvery):
		case <-ctx.Done():
			return times{}, fmt.Errorf("accepted spend %s is %s: %w", id, spend.State, context.Cause(ctx))
		}
	}
}
