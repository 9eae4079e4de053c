package config

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// fileSecretInterval is how often a secret's file is looked at: a key that is
// rotated is the old one for no longer, and a call costs no read of a file.
const fileSecretInterval = 3 * time.Second

// FileSecret is a secret that may be rotated while the program runs: its file is
// read again every few seconds while somebody asks. It is safe for concurrent use.
type FileSecret struct {
	name     string
	path     string
	readFile func(string) ([]byte, error)
	now      func() time.Time
	log      *slog.Logger
	problem  func(value string) string // what keeps a value from being used; empty: nothing

	mu      sync.Mutex
	last    Secret // the last good one
	read    time.Time
	failing bool
}

// NewFileSecret returns the secret whose first value, read from path, is first.
// name is the variable it belongs to, for the log.
func NewFileSecret(name, path string, first Secret, readFile func(string) ([]byte, error), now func() time.Time, log *slog.Logger) *FileSecret {
	return &FileSecret{name: name, path: path, readFile: readFile, now: now, log: log, problem: tokenProblem, last: first, read: now()}
}

// Reveal returns the value in the file. While the file is missing, empty or holds
// what no header can carry, it is the last good value.
func (s *FileSecret) Reveal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.read) >= fileSecretInterval {
		s.read = now
		s.reread()
	}
	return s.last.Reveal()
}

func (s *FileSecret) reread() {
	value, err := readSecret(s.readFile, s.path)
	if err == nil {
		if problem := s.problem(value); problem != "" {
			err = fmt.Errorf("%s %s", s.path, problem)
		}
	}
	switch {
	case err != nil:
		if !s.failing { // once, not every few seconds
			s.log.Warn("secret not read again, the last good one stays", "variable", s.name, "error", err)
		}
	case value != s.last.Reveal():
		s.last = NewSecret(value)
		s.log.Info("secret changed", "variable", s.name, "path", s.path)
	}
	s.failing = err != nil
}
