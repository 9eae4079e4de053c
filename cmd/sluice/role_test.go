package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAStopThatWasCutFails: whoever stopped the role sees it by the exit code, and the
// log has why.
func TestAStopThatWasCutFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		says string
	}{
		{nil, `level=INFO msg=stopped role=work`},
		{context.Canceled, `msg="stopped before it was ready" role=work`},
		{errors.New("the stop cut 2 deliveries"), `level=ERROR msg="stopped, but not in order" role=work`},
	} {
		var out bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		err := runRole(ctx, slog.New(slog.NewTextHandler(&out, nil)), "work", func(context.Context) error { stop(); return test.err })
		require.Equal(t, test.err != nil && !errors.Is(test.err, context.Canceled), err != nil)
		require.Contains(t, out.String(), test.says)
	}
}
