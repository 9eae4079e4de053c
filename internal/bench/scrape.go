package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// httpPatience bounds one look at a metrics page or the simulator.
const httpPatience = 10 * time.Second

// metrics is a /metrics page: series, with their labels, to value.
type metrics map[string]float64

// scrape reads a page in Prometheus' text format.
func scrape(ctx context.Context, url string) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, httpPatience)
	defer cancel()
	body, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	page := metrics{}
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			page[line[:at]] = value
		}
	}
	return page, lines.Err()
}

// get returns the body of a page that is there.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return answer.Body, nil
}

// sum adds up the series of a name, whatever their labels.
func (m metrics) sum(name string) float64 {
	total := 0.0
	for series, value := range m {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += value
		}
	}
	return total
}

// added returns both pages' sums of what they both count, for processes that do
// one thing together.
func added(pages ...metrics) metrics {
	all := metrics{}
	for _, page := range pages {
		for series, value := range page {
			all[series] += value
		}
	}
	return all
}
