package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"

	"github.com/sluice-gems/sluice/internal/serving"
)

// listenOn opens a socket at addr. setting is what sets the address; an error
// names it and says what to do.
func listenOn(ctx context.Context, addr, setting string) (*net.TCPListener, error) {
	socket, err := serving.Listen(ctx, addr)
	switch {
	case err == nil:
		return socket, nil
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(addr) // it was an address, or nobody could have it
		return nil, fmt.Errorf("port %s is taken: another program listens on %s. Stop it, or set %s to an address that is free. This shows who has it: %s",
			port, addr, setting, whoHas(port))
	default:
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", addr, setting, err)
	}
}

// whoHas is the command that shows the process behind a port.
func whoHas(port string) string {
	if runtime.GOOS == "linux" {
		return fmt.Sprintf("ss -ltnp 'sport = :%s'", port) // without root it names only one's own programs
	}
	return fmt.Sprintf("lsof -nP -iTCP:%s -sTCP:LISTEN", port)
}

// requireFree fails as listenOn would, before anything is started that would have
// to be stopped again.
func requireFree(ctx context.Context, addr, setting string) error {
	socket, err := listenOn(ctx, addr, setting)
	if err != nil {
		return err
	}
	return socket.Close()
}
