// Package load asks a running API for spends: by a number of clients that each
// wait for their answer (a closed loop), or at times that were set before (an open
// loop), and keeps what became of every request in a file of records.
//
// It speaks just enough HTTP to cost the machine it shares with the service little:
// one write and, as a rule, one read per request, nothing allocated. It knows
// nothing of what is behind the API.
package load
