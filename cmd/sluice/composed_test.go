package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// composed is docker-compose.yml brought up on this machine without containers: its
// services are processes, with the commands, settings and secrets that stand there;
// PostgreSQL and NATS are those of the tests in place of their images.
type composed struct {
	site
	project *types.Project
	server  *testenv.DurableServer
	nats    *natsserver.Server
	addrs   map[string]string // of what listens: "serve:8080", to an address of this machine
	running []*program
}

func newComposed(t *testing.T) *composed {
	t.Helper()
	c := &composed{
		site:    site{t: t, folder: newFolder(t), apiAddr: freeAddr(t), simAddr: freeAddr(t), client: &http.Client{Timeout: 45 * time.Second}},
		project: composeProject(t), server: testenv.DurablePostgres(t),
	}
	t.Cleanup(c.client.CloseIdleConnections)
	_, err := c.server.DB().ExecContext(t.Context(), "CREATE DATABASE composed")
	require.NoError(t, err)
	c.addrs = map[string]string{
		"serve:8080": c.apiAddr, "simulator:8081": c.simAddr, "work:9090": freeAddr(t), "relay:9090": freeAddr(t),
		"nats:4222": freeAddr(t), "nats:8222": freeAddr(t),
	}
	said, err := exec.CommandContext(t.Context(), "../../scripts/compose-secrets.sh", c.path("/run/secrets")).CombinedOutput()
	require.NoError(t, err, "%s", said)
	address, err := url.Parse(c.server.URL())
	require.NoError(t, err)
	address.Path = "/composed"
	c.rewrite("database_url", func(string) string { return address.String() })
	c.rewrite("nats_url", func(is string) string { return strings.Replace(is, "nats:4222", c.addrs["nats:4222"], 1) })
	return c
}

// path is where a file of a container lies here.
func (c *composed) path(inContainer string) string { return filepath.Join(c.folder, inContainer) }

func (c *composed) secret(name string) string {
	c.t.Helper()
	raw, err := os.ReadFile(c.path("/run/secrets/" + name))
	require.NoError(c.t, err)
	return strings.TrimSpace(string(raw))
}

// rewrite changes a secret that says where a container is.
func (c *composed) rewrite(name string, change func(string) string) {
	c.t.Helper()
	changed, path := change(c.secret(name)), c.path("/run/secrets/"+name)
	require.NoError(c.t, os.Remove(path)) // it is read-only
	require.NoError(c.t, os.WriteFile(path, []byte(changed+"\n"), 0o400))
}

// here translates words of a service: its own paths and listeners, and the others'
// addresses, to those of this machine.
func (c *composed) here(service types.ServiceConfig) *strings.Replacer {
	pairs := []string{"/run/secrets/", c.path("/run/secrets") + "/"}
	for _, volume := range service.Volumes {
		source := volume.Source
		if volume.Type == types.VolumeTypeVolume {
			source = c.path("/volumes/" + volume.Source)
		}
		pairs = append(pairs, volume.Target+"/", source+"/")
	}
	for where, addr := range c.addrs {
		host, port, _ := strings.Cut(where, ":")
		pairs = append(pairs, "http://"+where, "http://"+addr)
		if host == service.Name {
			pairs = append(pairs, "127.0.0.1:"+port, addr, ":"+port, addr)
		}
	}
	return strings.NewReplacer(pairs...)
}

func (c *composed) words(service types.ServiceConfig, words []string) []string {
	replacer, out := c.here(service), make([]string, len(words))
	for i, word := range words {
		out[i] = replacer.Replace(word)
	}
	return out
}

func (c *composed) settings(service types.ServiceConfig) []string {
	var env []string
	for name, value := range service.Environment {
		env = append(env, name+"="+*value)
	}
	return c.words(service, env)
}

// up starts every service once those it depends on are well.
func (c *composed) up() {
	c.t.Helper()
	for _, volume := range c.project.VolumeNames() {
		require.NoError(c.t, os.MkdirAll(c.path("/volumes/"+volume), 0o700))
	}
	err := c.project.ForEachService(nil, func(name string, service *types.ServiceConfig) error {
		switch {
		case name == "postgres":
			c.server.Start()
		case name == "nats":
			c.startNATS(*service)
		case service.Build != nil:
			c.start(*service)
		default:
			require.FailNow(c.t, "nothing stands in for the image of "+name)
		}
		return nil
	})
	require.NoError(c.t, err)
}

// start starts one of our services and returns when it is well, as its health check
// says, or done.
func (c *composed) start(service types.ServiceConfig) {
	c.t.Helper()
	env := c.settings(service)
	if service.HealthCheck == nil {
		code, _, log := runs(c.t, env, c.words(service, service.Command)...)
		require.Zero(c.t, code, "%s: %s", service.Name, log)
		return
	}
	check := c.words(service, service.HealthCheck.Test[2:])
	code, _, log := runs(c.t, env, check...)
	require.Equal(c.t, exitFailed, code, "%s is well before it runs: %s", service.Name, log)
	p := launch(c.t, env, c.words(service, service.Command)...)
	c.running = append(c.running, p)
	require.Eventually(c.t, func() bool {
		require.True(c.t, p.running(), "%s: %s", service.Name, p.log.tail())
		code, _, log = runs(c.t, env, check...)
		return code == 0
	}, startPatience, tick, "%s does not become well: %s", service.Name, log)
}

// startNATS starts the server of the image in this process, with its own
// configuration file but for addresses and the store.
func (c *composed) startNATS(service types.ServiceConfig) {
	c.t.Helper()
	file := service.Command[len(service.Command)-1]
	require.NoError(c.t, os.MkdirAll(filepath.Dir(c.path(file)), 0o700))
	for _, volume := range service.Volumes {
		if volume.Target == file {
			raw, err := os.ReadFile(volume.Source)
			require.NoError(c.t, err)
			require.NoError(c.t, os.WriteFile(c.path(file), raw, 0o600)) // beside the secrets, which it includes
		}
	}
	options, err := natsserver.ProcessConfigFile(c.path(file))
	require.NoError(c.t, err)
	require.Equal(c.t, "/data", options.StoreDir, "not the volume")
	require.True(c.t, options.JetStream)
	require.Equal(c.t, "nats://"+options.Username+":"+options.Password+"@"+c.addrs["nats:4222"], c.secret("nats_url"), "anybody may connect")
	require.Equal(c.t, []any{4222, 8222}, []any{options.Port, options.HTTPPort})
	options.StoreDir = strings.TrimSuffix(c.here(service).Replace("/data/"), "/")
	options.Host, options.Port = splitAddr(c.t, c.addrs["nats:4222"])
	options.HTTPHost, options.HTTPPort = splitAddr(c.t, c.addrs["nats:8222"])
	options.NoSigs, options.NoLog = true, true
	c.nats, err = natsserver.NewServer(options)
	require.NoError(c.t, err)
	c.nats.Start()
	c.t.Cleanup(c.stopNATS)
	check := c.words(service, service.HealthCheck.Test)
	require.Eventually(c.t, func() bool {
		answer, err := c.client.Get(check[len(check)-1])
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	}, startPatience, tick, "nats does not become well")
}

func (c *composed) stopNATS() {
	c.nats.Shutdown()
	c.nats.WaitForShutdown()
}

func splitAddr(t testing.TB, addr string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	port, err = strconv.Atoi(text)
	require.NoError(t, err)
	return host, port
}

// down stops ours as `docker compose down` does, all at once and before what they
// depend on, and wants each to end well.
func (c *composed) down() {
	c.t.Helper()
	for _, p := range c.running {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range c.running {
		require.Zero(c.t, p.exitCode(), "%s\n%s", p, p.log.tail())
	}
	c.running = nil
	c.stopNATS()
	c.server.Stop()
}

// exec runs a command in a service, as `docker compose exec` does.
func (c *composed) exec(service string, args ...string) string {
	c.t.Helper()
	code, out, log := runs(c.t, c.settings(c.project.Services[service]), args...)
	require.Zero(c.t, code, log)
	return strings.TrimSpace(out)
}

// providerAnswers is the status of a call to the simulator with a key.
func (c *composed) providerAnswers(key string) int {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.simAddr+"/v2/projects/proj_sim/virtual_currencies", http.NoBody)
	require.NoError(c.t, err)
	request.Header.Set("Authorization", "Bearer "+key)
	answer, err := c.client.Do(request)
	require.NoError(c.t, err)
	require.NoError(c.t, answer.Body.Close())
	return answer.StatusCode
}

// streamed is how many messages the stream has taken since it was made.
func (c *composed) streamed() uint64 {
	c.t.Helper()
	info, err := c.nats.Jsz(&natsserver.JSzOptions{Streams: true, Accounts: true})
	require.NoError(c.t, err)
	var last uint64
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			last = max(last, stream.State.LastSeq)
		}
	}
	return last
}
