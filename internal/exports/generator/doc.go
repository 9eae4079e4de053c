// Package generator writes exports as the provider would, from a seed: for tests,
// benches and trials. It knows the documented columns and shares no code with the
// reader that it tests.
//
// A player's purchases are made story by story: a subscription with its periods, or
// one purchase. A story is written in several versions, as the provider exports a
// transaction again when it changed.
package generator
