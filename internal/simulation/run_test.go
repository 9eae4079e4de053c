package simulation

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// shards share a test's schedules, so that they use the processors there are.
const shards = 8

// promise runs a test's schedules and prints the seed of the first that breaks.
func promise(t *testing.T, schedules int, f faults) {
	t.Helper()
	promiseThat(t, schedules, f, (*world).run)
}

// promiseThat is promise for schedules of another course.
func promiseThat(t *testing.T, schedules int, f faults, course func(*world)) {
	t.Helper()
	promiseOf(t, schedules, f, mutation{}, course)
}

// promiseOf is promiseThat in a world that differs without being wrong.
func promiseOf(t *testing.T, schedules int, f faults, other mutation, course func(*world)) {
	t.Helper()
	t.Parallel()
	if seed, asked := environment(t, "SLUICE_SIM_SEED"); asked {
		failure, trace := replay(t, uint64(seed), f, other, course)
		t.Log("\n" + trace)
		if failure != "" {
			t.Fatal(failure)
		}
		return
	}
	if n, asked := environment(t, "SLUICE_SIM_SCHEDULES"); asked {
		schedules = n
	}
	for shard := range shards {
		t.Run("shard "+strconv.Itoa(shard), func(t *testing.T) {
			t.Parallel()
			for seed := shard; seed < schedules; seed += shards {
				if failure := schedule(t, uint64(seed), f, other, nil, course); failure != "" {
					report(t, uint64(seed), f, other, course, failure)
				}
			}
		})
	}
}

func environment(t *testing.T, name string) (int, bool) {
	t.Helper()
	text, set := os.LookupEnv(name)
	if !set {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// schedule runs one schedule in a world of its own.
func schedule(t *testing.T, seed uint64, f faults, wrong mutation, trace *strings.Builder, course func(*world)) (failure string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, f, wrong)
		w.trace = trace
		course(w)
		w.kill(nil)
		failure = w.failure
	})
	return failure
}

func replay(t *testing.T, seed uint64, f faults, other mutation, course func(*world)) (failure, trace string) {
	t.Helper()
	var story strings.Builder
	failure = schedule(t, seed, f, other, &story, course)
	return failure, story.String()
}

// traceLines is how much of a broken schedule is printed.
const traceLines = 60

func report(t *testing.T, seed uint64, f faults, other mutation, course func(*world), failure string) {
	t.Helper()
	again, trace := replay(t, seed, f, other, course)
	lines := strings.Split(trace, "\n")
	name, _, _ := strings.Cut(t.Name(), "/")
	t.Fatalf("seed %d: %s\nthe same again: %t\n…\n%s\nrun it again with its whole trace:\n  SLUICE_SIM_SEED=%d go test -v -run '%s$' ./internal/simulation",
		seed, failure, again == failure, strings.Join(lines[max(0, len(lines)-traceLines):], "\n"), seed, name)
}
