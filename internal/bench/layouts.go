package bench

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// launch starts a process of the site and waits until it is ready.
func (s *Site) launch(ctx context.Context, c SiteConfig, env []string, ready func(context.Context) bool, name string, args ...string) (*child, error) {
	one, err := startChild(name, c.Program, c.Dir, env, args...)
	if err != nil {
		return nil, err
	}
	s.children = append(s.children, one)
	err = one.await(ctx, ready)
	return one, err
}

// launchRole is launch for a role of the service.
func (s *Site) launchRole(ctx context.Context, c SiteConfig, env []string, ready func(context.Context) bool, name string, args ...string) (*child, error) {
	if c.Profiles == "" {
		return s.launch(ctx, c, env, ready, name, append([]string{name}, args...)...)
	}
	one, err := s.launch(ctx, c, env, ready, name, append([]string{"bench", "profiled", filepath.Join(c.Profiles, name+".pprof"), name}, args...)...)
	s.profiled = append(s.profiled, one)
	return one, err
}

// profile begins the profiles of the roles, or ends them.
func (s *Site) profile() {
	for _, one := range s.profiled {
		_ = one.cmd.Process.Signal(syscall.SIGUSR1) // one that is gone is told of elsewhere
	}
}

func (s *Site) startSimulator(ctx context.Context, c SiteConfig, env []string, addr string) error {
	control := simulatorControl{addr}
	ready := func(ctx context.Context) bool { _, err := control.stats(ctx, false); return err == nil }
	one, err := s.launch(ctx, c, env, ready, "simulate", "simulate", "--addr", addr, "--project", siteProject)
	if err != nil {
		return err
	}
	s.Simulator = &Simulated{PID: one.pid(), control: control}
	if c.Faults == "" {
		return nil
	}
	return control.faults(ctx, c.Faults)
}

// answers reports whether a page is there.
func answers(url string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		body, err := get(ctx, url)
		if err != nil {
			return false
		}
		return body.Close() == nil
	}
}

func (s *Site) startOne(ctx context.Context, c SiteConfig, env []string) (natsURL string, err error) {
	one, err := s.launchRole(ctx, c, env, answers("http://"+s.API+"/readyz"), "dev")
	if err != nil {
		return "", err
	}
	s.Roles = []Role{{Name: "service", PID: one.pid(), Metrics: "http://" + s.API + "/metrics"}}
	return c.NATSURL(filepath.Join(c.Dir, "data"))
}

func (s *Site) startMany(ctx context.Context, c SiteConfig, env, addrs []string) (natsURL string, err error) {
	natsAddr, err := freeAddrs(1)
	if err != nil {
		return "", err
	}
	natsURL = "nats://" + natsAddr[0]
	_, port, _ := strings.Cut(natsAddr[0], ":")
	listens := func(ctx context.Context) bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", natsAddr[0])
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
	nats, err := s.launchRole(ctx, c, env, listens, "nats", "--port", port)
	if err != nil {
		return "", err
	}
	env = append(slices.Clone(env), "SLUICE_NATS_URL="+natsURL)
	for _, role := range []struct{ name, metrics, page string }{
		{"serve", s.API, "/readyz"}, {"work", addrs[0], "/livez"}, {"relay", addrs[1], "/livez"},
	} {
		with := env
		if role.metrics != s.API {
			with = append(slices.Clone(env), "SLUICE_METRICS_ADDR="+role.metrics)
		}
		one, err := s.launchRole(ctx, c, with, answers("http://"+role.metrics+role.page), role.name)
		if err != nil {
			return "", err
		}
		s.Roles = append(s.Roles, Role{role.name, one.pid(), "http://" + role.metrics + "/metrics"})
	}
	s.Roles = append(s.Roles, Role{Name: "nats", PID: nats.pid()})
	return natsURL, nil
}

// freeAddrs returns addresses of this machine that nobody listens on.
func freeAddrs(n int) ([]string, error) {
	addrs, sockets := make([]string, n), make([]net.Listener, n)
	defer func() {
		for _, socket := range sockets { // all at once, so that they differ
			if socket != nil {
				_ = socket.Close()
			}
		}
	}()
	for i := range addrs {
		var err error
		if sockets[i], err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		addrs[i] = sockets[i].Addr().String()
	}
	return addrs, nil
}
