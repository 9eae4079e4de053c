// Package monitor tells how Sluice stands: consumer lag in messages and in age, what
// the outbox owes, what the provider allows, what waits for a person, and whether it
// is able to work. One Monitor reads it all, once for everybody who asks; the command
// line, the metrics, the console and so the alerts show the same Snapshot. Beside it are
// readiness (Health), stalls in the log (Watchdog), and whether webhooks may be
// missing (Heartbeat).
package monitor
