// Package migrations holds the schema as forward-only SQL files, one thought
// each, embedded in the binary. internal/postgres applies them in order; a file
// that has been released is never edited, a mistake is mended by the next one.
package migrations

import "embed"

// FS holds the numbered .sql files, in goose's format.
//
//go:embed *.sql
var FS embed.FS
