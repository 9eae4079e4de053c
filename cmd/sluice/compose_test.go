package main

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
)

// composeProject is docker-compose.yml, as `docker compose` reads it.
func composeProject(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"})
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

const (
	binaryInImage = "/usr/local/bin/sluice" // its entrypoint
	brokerClose   = 30 * time.Second        // the most that broker.Conn.Close takes
)

// TestComposeFileSaysWhatTheCommandLineKnows: commands and health checks are ones
// of this binary, and a drain has the time it needs.
func TestComposeFileSaysWhatTheCommandLineKnows(t *testing.T) {
	t.Parallel()
	for name, service := range composeProject(t).Services {
		if service.Build == nil {
			continue
		}
		lines := [][]string{service.Command}
		if check := service.HealthCheck; check != nil {
			require.Equal(t, []string{"CMD", binaryInImage, "health"}, []string(check.Test[:3]), name)
			assert.Greater(t, time.Duration(*check.Timeout), healthPatience, "%s: its check is killed before it can say why", name)
			lines = append(lines, check.Test[2:])
		}
		for _, line := range lines {
			parser, err := kong.New(&commands{}, vars, kong.Exit(func(int) {}))
			require.NoError(t, err)
			_, err = parser.Parse(line)
			assert.NoError(t, err, "%s: sluice %s", name, strings.Join(line, " "))
		}
		assert.Greater(t, time.Duration(*service.StopGracePeriod), config.Default().HTTP.DrainGrace+drainPatience+brokerClose,
			"%s is killed before requests in hand and the broker are done", name)
	}
}

// TestDeployDocUsesCommandsThatExist: whatever docs/deploy.md has one type.
func TestDeployDocUsesCommandsThatExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/deploy.md")
	require.NoError(t, err)
	parser, err := kong.New(&commands{}, vars)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, node := range parser.Model.Children {
		known[node.Name] = true
	}
	lines := regexp.MustCompile(`\bsluice ([a-z]+)`).FindAllStringSubmatch(string(raw), -1)
	require.Greater(t, len(lines), 5)
	for _, line := range lines {
		assert.True(t, known[line[1]], "%s is no command", line[0])
	}
}

// TestComposeFileSellsAnItem: what docker-compose.yml brings up sells an item, stops
// at SIGTERM, and knows of the sale when it is brought up again.
func TestComposeFileSellsAnItem(t *testing.T) {
	t.Parallel()
	c := newComposed(t)
	c.server.Stop()
	c.up()
	c.give("player_1", economy.Amounts{"GEM": 120})
	header := []string{
		"Authorization", "Bearer " + c.exec("serve", "token", "--player", "player_1"), "Content-Type", "application/json", "Prefer", "wait=30",
	}
	const tap = `{"item":"extra_life","idempotencyKey":"first-tap"}`
	bought := c.post(t, tap, header...)
	require.Equal(t, http.StatusOK, bought.code, bought)
	require.Equal(t, "fulfilled", bought.Spend.State)
	granted, err := c.send(http.MethodPost, "/grants", `{"app_user_id":"player_1","adjustments":{"GEM":30},"reason":"quest","idempotency_key":"q"}`,
		"Authorization", "Bearer "+c.secret("server_keys"), "Content-Type", "application/json", "Prefer", "wait=30")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, granted.code, granted)
	require.Equal(t, economy.Amounts{"GEM": 100}, c.balance("player_1"))
	require.Regexp(t, `(?m)^adjust +live +0 `, c.exec("relay", "lag", "--max-pending", "0"))
	requireMetrics(t, c.client, c.addrs["work:9090"], "sluice_provider_calls_total")

	// A purchase with money: the simulator tells serve, and the access is there.
	c.control(http.MethodPost, "/buy", `{"customer":"player_2","product":"premium_monthly","store":"app_store"}`, nil)
	buyer := "Bearer " + c.exec("serve", "token", "--player", "player_2")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		held, err := c.send(http.MethodGet, "/inventory", "", "Authorization", buyer)
		if assert.NoError(t, err) {
			assert.Contains(t, held.raw, `"module":"premium"`)
		}
	}, settlesWithin, tick)

	require.Equal(t, http.StatusUnauthorized, c.providerAnswers("sk_another"), "the simulator takes any key")
	require.Equal(t, http.StatusOK, c.providerAnswers(c.secret("revenuecat_secret_key")))

	// The number of copies reaches the broker, and one server cannot have three.
	cluster := launch(t, append(c.settings(c.project.Services["relay"]), "SLUICE_NATS_REPLICAS=3", "SLUICE_METRICS_ADDR="), "relay")
	cluster.await(&cluster.log, "replicas > 1 not supported in non-clustered mode")
	cluster.finish()

	c.down()
	c.up()
	again := c.post(t, tap, header...)
	require.Equal(t, http.StatusOK, again.code, again)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, bought.Spend, again.Spend)
	require.Equal(t, economy.Amounts{"GEM": 100}, c.balance("player_1"), "the simulator forgot, or was called again")
	require.Positive(t, c.streamed(), "nothing goes through the stream of the volume")
	c.down()
}
