package simulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	project  = "/v2/projects/proj_sim"
	customer = project + "/customers/p1"
	adjust   = customer + "/virtual_currencies/transactions"
	balances = customer + "/virtual_currencies"
)

// world is a simulator on a real port.
type world struct {
	*simulator.Simulator
	url  string
	http *http.Client
}

func newWorld(t *testing.T, cfg simulator.Config) *world {
	t.Helper()
	sim, err := simulator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{sim, server.URL, server.Client()}
}

// client returns our own client for this world. It must be done before the world ends.
func (w *world) client(t *testing.T) *revenuecat.Client {
	t.Helper()
	c, err := revenuecat.New(revenuecat.Config{
		BaseURL: w.url + "/v2", ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk_sim" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (w *world) set(t *testing.T, id string, held economy.Amounts) {
	t.Helper()
	if err := w.SetBalance(id, held); err != nil {
		t.Fatal(err)
	}
}

// response is an answer, decoded.
type response struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// problem is status, type and param of an error answer, in one line.
func (r response) problem() string {
	param, _ := r.body["param"].(string)
	return strings.TrimSpace(fmt.Sprintf("%d %v %s", r.status, r.body["type"], param))
}

// call makes one call. header is name, value, ...; an empty value removes it.
func (w *world) call(t *testing.T, method, path, body string, header ...string) response {
	t.Helper()
	r, err := w.try(t, method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (w *world) try(t *testing.T, method, path, body string, header ...string) (response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Authorization", "Bearer sk_any")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	res, err := w.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return response{}, err
	}
	out := response{status: res.StatusCode, header: res.Header, text: strings.TrimSpace(string(raw))}
	return out, json.Unmarshal(raw, &out.body)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)
