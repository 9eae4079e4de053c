package config

import (
	"log/slog"
	"strings"
	"time"
)

// tokenProblem says what keeps a value from being a token in a header.
func tokenProblem(value string) string {
	if !visibleASCII(value) {
		return "holds a space, a line break or a character beyond ASCII"
	}
	return ""
}

// NewFileHeader is NewFileSecret for the whole value of a header, which may hold
// spaces within.
func NewFileHeader(name, path string, first Secret, readFile func(string) ([]byte, error), now func() time.Time, log *slog.Logger) *FileSecret {
	s := NewFileSecret(name, path, first, readFile, now, log)
	s.problem = func(value string) string {
		if !keepsInHeader(value) {
			return "begins or ends with a space, or holds a control character"
		}
		return ""
	}
	return s
}

// FileSecrets is a list of secrets, separated by commas, that may be rotated while
// the program runs, as FileSecret is. It is safe for concurrent use.
type FileSecrets struct{ file *FileSecret }

// NewFileSecrets returns the list whose first entries, read from path, are first.
func NewFileSecrets(name, path string, first []Secret, readFile func(string) ([]byte, error), now func() time.Time, log *slog.Logger) *FileSecrets {
	s := NewFileSecret(name, path, NewSecret(strings.Join(RevealAll(first), ",")), readFile, now, log)
	s.problem = func(value string) string {
		entries := splitList(value)
		if len(entries) == 0 {
			return "lists nothing"
		}
		for _, entry := range entries {
			if problem := tokenProblem(entry); problem != "" {
				return problem
			}
		}
		return ""
	}
	return &FileSecrets{s}
}

// Reveal returns the values in the file. While the file is missing, empty or holds
// what is no secret, they are the last good ones.
func (s *FileSecrets) Reveal() []string { return splitList(s.file.Reveal()) }

// RevealAll returns the values of a list.
func RevealAll(list []Secret) []string {
	values := make([]string, len(list))
	for i, secret := range list {
		values[i] = secret.Reveal()
	}
	return values
}
