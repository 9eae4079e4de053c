package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
)

func TestAmountsAreOnePerCurrency(t *testing.T) {
	t.Parallel()
	c, err := config.Load(env("SLUICE_REFUND_ALONE", "GEM=1000,GOLD=0"), files(nil))
	require.NoError(t, err)
	require.Equal(t, economy.Amounts{"GEM": 1000, "GOLD": 0}, c.RefundAlone)
	for value, want := range map[string]string{
		"GEM": `entry 1: "GEM" is no currency with an amount`, "GEM=-1": "from 0 to 2000000000", "GEM=x": "no currency", "gem!=1": "no currency",
		"GEM=1,GEM=2": "entry 2: GEM is there twice",
	} {
		_, err := config.Load(env("SLUICE_REFUND_ALONE", value), files(nil))
		require.ErrorContains(t, err, want, value)
	}
}

func TestATraceIsLinkedWhereAnAddressIsSet(t *testing.T) {
	t.Parallel()
	require.Equal(t, "4bf9", config.Config{}.TraceLink("4bf9"))
	c := config.Config{TraceURL: "https://jaeger.example.com/trace/{trace}"}
	require.Equal(t, "https://jaeger.example.com/trace/4bf9", c.TraceLink("4bf9"))
	require.Empty(t, c.TraceLink(""))
}
