package main

import (
	"net"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTakenPortSaysWhatToDo: which port, what sets it, and how to see who has it,
// before anything else is started.
func TestTakenPortSaysWhatToDo(t *testing.T) {
	t.Parallel()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	addr := socket.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	for _, test := range []struct {
		setting string
		env     []string
		args    []string
	}{
		{"SLUICE_HTTP_ADDR", []string{"SLUICE_HTTP_ADDR=" + addr}, []string{"dev"}},
		{"--simulator-addr", []string{"SLUICE_HTTP_ADDR=" + freeAddr(t)}, []string{"dev", "--simulator-addr", addr}},
		{"--addr", nil, []string{"simulate", "--addr", addr}},
		{"--port", nil, []string{"nats", "--port", port}},
	} {
		folder := newFolder(t)
		code, out, log := runs(t, append(test.env, "SLUICE_DATA_DIR="+folder), test.args...)
		assert.Equal(t, exitFailed, code, test.args)
		assert.Empty(t, out, test.args)
		assert.Contains(t, log, "port "+port+" is taken", test.args)
		assert.Contains(t, log, "set "+test.setting+" to", test.args)
		assert.NoDirExists(t, filepath.Join(folder, "postgres"), test.args)
		assert.NoDirExists(t, filepath.Join(folder, "nats"), test.args)
		if runtime.GOOS == "linux" {
			assert.Contains(t, log, "ss -ltnp 'sport = :"+port+"'", test.args)
		}
	}
}
