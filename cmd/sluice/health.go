package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/sluice-gems/sluice/config"
)

// healthCommand asks a process how it is, for the health check of a container
// whose image holds nothing but sluice.
type healthCommand struct {
	URL string `arg:"" optional:"" help:"Address to ask, such as http://127.0.0.1:9090/readyz; default: /readyz of the API at SLUICE_HTTP_ADDR."`
}

const (
	healthPatience = 3 * time.Second
	healthBodyMax  = 4 << 10 // of the answer that is shown
)

// Run exits with 0 when the answer is a 2xx, and prints it.
func (c healthCommand) Run(ctx context.Context, io stdio) error {
	url := c.URL
	if url == "" {
		cfg, err := config.LoadEnviron(os.Environ(), os.ReadFile)
		if err != nil {
			return exitError{fmt.Errorf("settings:\n%w", err), exitBadUsage}
		}
		if url, err = readyURL(cfg.HTTP.Addr); err != nil {
			return exitError{err, exitBadUsage}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	body, err := askHealth(ctx, url)
	if err != nil && c.URL == "" {
		return fmt.Errorf("health: %w; another process: name its address, or set SLUICE_HTTP_ADDR", err)
	}
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	_, err = fmt.Fprintln(io.Out, body)
	return err
}

// readyURL is where a process that listens on addr, on this machine, answers
// whether it is ready.
func readyURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("SLUICE_HTTP_ADDR: %q is not an address: write host:port such as 127.0.0.1:8080", addr)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1" // every interface, so this one, too
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz", nil
}

// askHealth returns the answer of url, or why it is not a good one.
func askHealth(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(request) // never through a proxy
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, healthBodyMax))
	body = bytes.TrimSpace(body)
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return "", fmt.Errorf("%s answers %s: %s", url, answer.Status, body)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("%s answers %s and breaks off", url, answer.Status), err)
	}
	return string(body), nil
}
