// Package testenv gives tests the real things: a PostgreSQL of their own, made
// from the binaries of this machine, with the schema in it.
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
//	func TestAcceptedIsDurable(t *testing.T) {
//		db := testenv.Postgres(t)
//
// Every test has its own database, so tests run in parallel and see nothing of
// each other. One server serves a test binary: it starts with the first test that
// asks, with fsync off, and is gone with its folder when the binary is. A binary
// that was killed takes its server along; its folder is removed by the next one.
//
// A machine without PostgreSQL fails the test and says what to install. No test
// is ever skipped.
package testenv
