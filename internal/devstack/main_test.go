package devstack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/sluice-gems/sluice/internal/devstack"
)

// The test binary runs itself as another program, to be killed or to have another
// user: helperEnv says what it is to do.
const (
	helperEnv   = "SLUICE_DEVSTACK_HELPER"
	helperServe = "serve" // start a server on helperDir, say its URL, stop it when stdin ends
	helperDial  = "dial"  // connect to the socket at helperDir, say how it went
	helperDir   = "SLUICE_DEVSTACK_DIR"
)

// template keeps the cluster that tests copy instead of running initdb.
var template string

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case helperServe:
		serve()
		return
	case helperDial:
		dial()
		return
	}
	dir, err := os.MkdirTemp("", "sluice-devstack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	template = dir
	m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() {
	p, err := devstack.StartPostgres(context.Background(), devstack.PostgresConfig{DataDir: os.Getenv(helperDir), Durable: true})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(p.URL(""))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := p.Stop(context.Background()); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func dial() {
	conn, err := net.Dial("unix", os.Getenv(helperDir))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = conn.Close()
	fmt.Println("connected")
}
