package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog writes the embedded server's log lines to slog. A fatal line is an
// error of ours to report, not a reason to end the process.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string // the last error line, for StartEmbedded's error
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug("nats", "line", line(format, v)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug("nats", "line", line(format, v)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug("nats", "line", line(format, v)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn("nats", "line", line(format, v)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.bad(line(format, v)) }
func (l *serverLog) Fatalf(format string, v ...any)  { l.bad(line(format, v)) }

func (l *serverLog) bad(text string) {
	l.mu.Lock()
	l.last = text
	l.mu.Unlock()
	l.log.Error("nats", "line", text)
}

// why returns the last error line as an error.
func (l *serverLog) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return errors.New("no reason was logged")
	}
	return errors.New(l.last)
}

func line(format string, v []any) string { return "nats-server: " + fmt.Sprintf(format, v...) }
