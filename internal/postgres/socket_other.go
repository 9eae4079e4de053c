//go:build !linux

package postgres

import "syscall"

// limitUnacknowledged leaves it to the operating system, which tries for minutes.
func limitUnacknowledged(string, string, syscall.RawConn) error { return nil }
