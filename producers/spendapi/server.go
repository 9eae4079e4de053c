package spendapi

import (
	"log/slog"
	"net/http"
	"time"
)

// The limits of every phase of a connection.
const (
	headerTimeout = 5 * time.Second  // to send the header
	readTimeout   = 15 * time.Second // to send header and body: 16 KiB at the slowest of phones
	// writeTimeout counts from the header: the body, a commit (acceptPatience), the
	// longest wait (waitMax), a last look at the database, and some air.
	writeTimeout   = 75 * time.Second
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 16 << 10 // a session token for a player's id of 1500 bytes takes 3 KB
)

// NewServer returns a server for handler at addr whose every phase has a limit.
// What net/http itself has to say goes to log as warnings.
func NewServer(addr string, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr: addr, Handler: handler,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerBytesMax,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
