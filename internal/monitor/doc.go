// Package monitor tells how far behind Sluice is and whether it is able to work:
// consumer lag in messages and in age, what the outbox owes, readiness, and whether
// webhooks may be missing (Heartbeat). One
// collector serves the command line, the metrics and the health endpoints, so
// they cannot disagree.
package monitor
