package bench

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// TestMessagesAreUnderstood: the watcher reads by hand what others encode.
func TestMessagesAreUnderstood(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for _, event := range []events.Event{
		events.NewSpendRequested(id.String(), "p", time.Now()), events.NewSpendCharged(id.String(), "p", time.Now()),
	} {
		raw, err := event.Encode()
		require.NoError(t, err)
		got, ok := spendOfEvent(raw)
		require.True(t, ok)
		require.Equal(t, id, got)
	}
	for _, state := range economy.States {
		raw, err := json.Marshal(events.Notice{Spend: economy.Spend{
			ID: id.String(), AppUserID: "p", AdjustmentID: uuid.NewString(), Item: "x", State: state, Cost: economy.Amounts{"GEM": 1},
		}})
		require.NoError(t, err)
		got, ok := spendOfNotice(raw)
		require.Equal(t, state.Final(), ok, state)
		if ok {
			require.Equal(t, id, got)
		}
	}
	for _, strange := range []string{"", `{"ID":"short","State":"fulfilled"}`, `{"State":"fulfilled`, `{"spend_id":"zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"}`} {
		_, ok := spendOfNotice([]byte(strange))
		require.False(t, ok, strange)
		_, ok = spendOfEvent([]byte(strange))
		require.False(t, ok, strange)
	}
}

func TestTheFirstSightingCounts(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	w := &watcher{ended: []sighting{{id, 1}, {id, 2}}}
	require.Equal(t, map[uuid.UUID]int64{id: 1}, w.seen(&w.ended))
}

func TestMetricsAreSummedOverLabelsAndProcesses(t *testing.T) {
	t.Parallel()
	pages := []string{
		"# HELP a b\n# TYPE a counter\na{x=\"a b\",y=\"1\"} 2\na{x=\"c\"} 3\nab 100\nb 1.5e+03\nnan NaN\n",
		"a{x=\"c\"} 4\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(pages[len(r.URL.Path)-1]))
	}))
	t.Cleanup(server.Close)
	first, err := scrape(t.Context(), server.URL+"/")
	require.NoError(t, err)
	second, err := scrape(t.Context(), server.URL+"/2")
	require.NoError(t, err)
	require.InDelta(t, 5, first.sum("a"), 0)
	require.InDelta(t, 1500, first.sum("b"), 0)
	require.Zero(t, first.sum("c"))
	require.InDelta(t, 9, added(first, second).sum("a"), 0)
	_, err = scrape(t.Context(), server.URL+"/gone")
	require.ErrorContains(t, err, "404")
}

// TestCPUIsThatOfTheProcessAndItsChildren: those that have ended included.
func TestCPUIsThatOfTheProcessAndItsChildren(t *testing.T) {
	t.Parallel()
	// It burns CPU in a child that ends, and says when.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read line`)
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = output.Read(make([]byte, 4))
	require.NoError(t, err)
	alone, err := cpuOf(cmd.Process.Pid, false)
	require.NoError(t, err)
	whole, err := cpuOf(cmd.Process.Pid, true)
	require.NoError(t, err)
	require.Greater(t, whole, alone)
	require.NoError(t, input.Close())
	_ = cmd.Wait() // read ends with an error at the end of its input
	require.Positive(t, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	_, err = cpuOf(cmd.Process.Pid, false)
	require.Error(t, err)

	m, err := readMachine()
	require.NoError(t, err)
	require.Greater(t, m.total, m.busy)
	require.Contains(t, Machine(), "CPUs")
}

func TestAChildIsAwaitedAndItsEndIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho '{\"level\":\"INFO\"}'\necho ready >&2\n[ \"$1\" = stay ] && exec cat\nexit 3\n"), 0o700))
	said := func(c *child) func() bool { return func() bool { return c.tail() == "ready\n" } }

	stays, err := startChild("stay", script, dir, os.Environ(), "stay")
	require.NoError(t, err)
	require.Eventually(t, said(stays), startPatience, pollEvery)
	require.NoError(t, stays.failed())
	stays.stop()
	require.ErrorContains(t, stays.failed(), "sluice stay ended")
	require.Equal(t, syscall.SIGTERM, stays.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())

	ends, err := startChild("ends", script, dir, os.Environ(), "not")
	require.NoError(t, err)
	err = ends.await(t.Context(), answers("http://127.0.0.1:1/"))
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "ready")
	require.NotContains(t, err.Error(), "INFO")
	ends.stop()

	require.NoError(t, os.Truncate(ends.log, logMax+1))
	ends.trimLog()
	info, err := os.Stat(ends.log)
	require.NoError(t, err)
	require.Zero(t, info.Size())
}
