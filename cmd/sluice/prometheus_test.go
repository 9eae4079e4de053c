package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// prometheusServer is a real one that scrapes every second and judges by the rules of
// deploy/prometheus, whose times are seconds instead of minutes.
type prometheusServer struct {
	t    testing.TB
	addr string
}

// shorter makes times of the rules what a test can wait for: ages and waits of three
// seconds, rates over ten, and no more than a second of patience.
var shorter = []struct{ long, short string }{
	{`for: \d+[ms]`, "for: 1s"},
	{`\[\d+m\]`, "[10s]"},
	{`(_seconds(?:\{[^}]*\})?\)?) > \d\d+`, "$1 > 3"},
	{`(sluice_audit_age_seconds\)) > 3`, "$1 > 75"}, // there is one a minute
}

// watchedBy starts a Prometheus for what answers /metrics at addresses.
func watchedBy(t testing.TB, targets ...string) *prometheusServer {
	t.Helper()
	folder := t.TempDir()
	raw, err := os.ReadFile("../../deploy/prometheus/sluice.rules.yml")
	require.NoError(t, err)
	text := string(raw)
	for _, s := range shorter {
		text = regexp.MustCompile(s.long).ReplaceAllString(text, s.short)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "rules.yml"), []byte(text), 0o600))
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n" +
		"scrape_configs: [{job_name: sluice, static_configs: [{targets: ['" + strings.Join(targets, "', '") + "']}]}]\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(config), 0o600))
	p := &prometheusServer{t: t, addr: freeAddr(t)}
	var log output
	cmd := exec.Command(testenv.Prometheus(t, "prometheus"), "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+p.addr)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	})
	require.Eventually(t, func() bool { return p.get("/-/ready", nil) == nil }, startPatience, tick, "%s", &log)
	return p
}

func (p *prometheusServer) get(path string, into any) error {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.addr+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// firing is an alert that fires.
type firing struct {
	Labels      map[string]string
	Annotations map[string]string
	State       string
	Value       string
}

// firing returns the alerts that fire, by name, and wants their texts whole. It is not
// known when Prometheus does not answer.
func (p *prometheusServer) firing() (list map[string]firing, known bool) {
	p.t.Helper()
	var answer struct{ Data struct{ Alerts []firing } }
	if p.get("/api/v1/alerts", &answer) != nil {
		return nil, false
	}
	list = map[string]firing{}
	for _, f := range answer.Data.Alerts {
		require.NotContains(p.t, f.Annotations["summary"], "error expanding template")
		if f.State == "firing" {
			list[f.Labels["alertname"]] = f
		}
	}
	return list, true
}

// rule returns the expression of an alert, as it is judged.
func (p *prometheusServer) rule(name string) string {
	p.t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Query string }
			}
		}
	}
	require.NoError(p.t, p.get("/api/v1/rules", &answer))
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Name == name {
				return rule.Query
			}
		}
	}
	require.FailNow(p.t, "no such rule", name)
	return ""
}

// alertPatience is how long an alert may take to fire or to clear.
const alertPatience = 3 * time.Minute

// fires waits until all of these fire.
func (p *prometheusServer) fires(names ...string) {
	p.t.Helper()
	var seen map[string]firing
	require.Eventually(p.t, func() bool {
		seen, _ = p.firing()
		return !slices.ContainsFunc(names, func(name string) bool { return seen[name].State == "" })
	}, alertPatience, 10*tick, "%v do not all fire", names)
}

// clears waits until nothing fires.
func (p *prometheusServer) clears() {
	p.t.Helper()
	var seen []string
	require.Eventually(p.t, func() bool {
		now, known := p.firing()
		seen = slices.Sorted(maps.Keys(now))
		return known && len(seen) == 0
	}, alertPatience, 10*tick, "still firing: %v", &seen)
}

// query returns what a query finds now.
func (p *prometheusServer) query(query string) (found []struct{ Value [2]any }) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	require.NoError(p.t, p.get("/api/v1/query?query="+url.QueryEscape(query), &answer), query)
	return answer.Data.Result
}

// value asks for one number.
func (p *prometheusServer) value(query string) float64 {
	p.t.Helper()
	found := p.query(query)
	require.Len(p.t, found, 1, query)
	return number(p.t, found[0].Value[1])
}

func number(t testing.TB, text any) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(fmt.Sprint(text), 64)
	require.NoError(t, err)
	return value
}
