// Package simulation runs the saga's own code through thousands of bad days, each
// a seed that can be run again.
//
//	the real thing   consumers.Runner, adjust, fulfil, compensate, adjustments.Teller, economy
//	models           PostgreSQL, the provider, JetStream, the sweeper, players, crashes, time
//
// One or two processes work on the same few players. Every call that leaves the code
// under test (a read, a commit, a call to the provider, an answer to the broker)
// hands control to one scheduler, which a seed drives: it decides who goes on,
// what is lost, doubled, late or refused, which process dies, and how much time
// passes. One goroutine runs at a time and time is synctest's, so a seed is a
// schedule, always the same one.
//
// When the bad days are over, nobody may wait longer than an adjustment of unknown
// outcome holds up its player; then only what the provider never tells may be left,
// and an operator settles that as it truly is.
//
// The database's model acts on the rows as a commit writes them (outbox.Written)
// with the guards, judgements and constraints of the SQL beside the kinds. It is
// checked after every commit and every call; at the end all faults cease and
// everything must come to rest.
//
//	go test ./internal/simulation                                            400 to 2500 schedules for most promises
//	SLUICE_SIM_SCHEDULES=1000000 go test -timeout 0 ./internal/simulation    a long run
//	SLUICE_SIM_SEED=17 go test -v -run 'TestName$' ./internal/simulation     one schedule, with its trace
//
// One test gives the same random effects to the database's model and to
// PostgreSQL and wants the same answers, tables and turns. Another makes mistakes
// on purpose, each of which must be found. What the models leave out: the
// batching of commits, and a request that reaches the provider after its caller's
// time was over.
package simulation
