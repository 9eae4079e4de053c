package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/sluice-gems/sluice/economy"
)

// simulatorControl is the control side of the site's simulator.
type simulatorControl struct{ addr string }

// providerStats is what the simulator counted.
type providerStats struct {
	Calls       int             `json:"calls"`
	ByStatus    map[string]int  `json:"by_status"`
	ByOperation map[string]int  `json:"by_operation"`
	Applied     int             `json:"applied"`
	Sums        map[string]sums `json:"sums"`
}

// sums are one customer's: what is there, and all that was ever added and taken.
type sums struct {
	Balances economy.Amounts `json:"balances"`
	Adjusted economy.Amounts `json:"adjusted"`
}

func (s simulatorControl) url(path string) string { return "http://" + s.addr + "/control" + path }

// stats returns the counters; customers adds every customer's sums.
func (s simulatorControl) stats(ctx context.Context, customers bool) (providerStats, error) {
	path := "/stats"
	if customers {
		path += "?customers=1"
	}
	var stats providerStats
	body, err := get(ctx, s.url(path))
	if err != nil {
		return stats, err
	}
	defer body.Close()
	err = json.NewDecoder(body).Decode(&stats)
	return stats, err
}

// faults replaces the faults by those that the JSON names.
func (s simulatorControl) faults(ctx context.Context, raw string) error {
	return s.send(ctx, http.MethodPut, "/faults", []byte(raw))
}

// give sets the balances of customers, some at a time.
func (s simulatorControl) give(ctx context.Context, customers []string, balances economy.Amounts) error {
	body, err := json.Marshal(map[string]any{"balances": balances})
	if err != nil {
		return err
	}
	const atOnce = 8
	var group sync.WaitGroup
	errs := make([]error, atOnce)
	for i := range atOnce {
		group.Go(func() {
			for at := i; at < len(customers) && errs[i] == nil; at += atOnce {
				errs[i] = s.send(ctx, http.MethodPost, "/customers/"+customers[at], body)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s simulatorControl) send(ctx context.Context, method, path string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, httpPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // only for the message
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("simulator: %s %s: %s: %s", method, path, answer.Status, bytes.TrimSpace(said))
	}
	return nil
}
