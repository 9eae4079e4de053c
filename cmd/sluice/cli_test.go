package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
)

func TestHelpMentionsEverySubcommand(t *testing.T) {
	t.Parallel()
	code, out, log := runs(t, nil, "--help")
	require.Zero(t, code, log)
	require.Empty(t, log)
	for field := range reflect.TypeFor[commands]().Fields() {
		assert.Regexp(t, `(?m)^  `+strings.ToLower(field.Name)+`\b.*\S`, out)
	}
}

func TestBadUsageExitsWith2AndFailuresWith1(t *testing.T) {
	t.Parallel()
	folder := newFolder(t)
	nowhere := []string{
		"SLUICE_DATA_DIR=" + folder, "SLUICE_SESSION_SECRET=" + sessionSecret,
		"SLUICE_DATABASE_URL=postgres:///sluice?host=" + folder + "&user=sluice&sslmode=disable", "SLUICE_NATS_URL=nats://" + freeAddr(t),
	}
	for _, test := range []struct {
		args string
		code int
		says string // on stderr
	}{
		{"", exitBadUsage, "expected"},
		{"nosuch", exitBadUsage, "nosuch"},
		{"dev --nosuch", exitBadUsage, "nosuch"},
		{"token", exitBadUsage, "--player"},
		{"token --player p --ttl -1s", exitBadUsage, "--ttl"},
		{"token --player p --ttl soon", exitBadUsage, "--ttl"},
		{"spend show", exitBadUsage, "--attention"},
		{"spend settle x --attempt 1 --reason r", exitBadUsage, "--charged or --not-charged"},
		{"spend settle x --attempt 1 --reason r --charged --not-charged", exitBadUsage, "--not-charged"},
		{"spend settle x --charged --reason r", exitBadUsage, "--attempt"},
		{"spend settle x --charged --attempt 1", exitBadUsage, "--reason"},
		{"work --only nosuch", exitBadUsage, "adjust, fulfil, compensate"},
		{"work --only adjust,typo", exitBadUsage, `"typo"`},
		{"work --only adjust", exitFailed, "database"},
		{"lag --max-age soon", exitBadUsage, "--max-age"},
		{"lag --max-pending -1", exitBadUsage, "--max-pending"},
		{"migrate", exitFailed, ""},
		{"lag", exitFailed, "cannot reach PostgreSQL"},
		{"lag", exitFailed, "cannot reach NATS"},
		{"spend show 0198c0de-0000-7000-8000-000000000000", exitFailed, "is SLUICE_DATABASE_URL right?"},
		{"spend settle x --charged --attempt 1 --reason r", exitFailed, "cannot reach PostgreSQL"},
	} {
		code, out, log := runs(t, append(nowhere, "SLUICE_REVENUECAT_SECRET_KEY=sk_x", "SLUICE_REVENUECAT_PROJECT_ID=p",
			"SLUICE_CATALOG=none.yaml"), strings.Fields(test.args)...)
		assert.Equal(t, test.code, code, "sluice %s: %s", test.args, log)
		assert.Empty(t, out, "sluice %s", test.args)
		assert.Contains(t, log, "sluice: ", "sluice %s", test.args)
		assert.Contains(t, log, test.says, "sluice %s", test.args)
	}
}

// TestOperatorsAreToldWhenNothingRuns: beside no `sluice dev`, or one that has ended,
// the commands that look at a running system say what to start or set.
func TestOperatorsAreToldWhenNothingRuns(t *testing.T) {
	t.Parallel()
	folder := newFolder(t)
	for command, name := range map[string]string{
		"lag": "lag", "spend show --unknown": "spend show", "spend settle x --charged --attempt 1 --reason r": "spend settle", "deadletter list": "deadletter list",
		"backfill list": "backfill list", "audit": "audit", "pauses": "pauses", "acts": "acts",
	} {
		code, _, log := runs(t, []string{"SLUICE_DATA_DIR=" + folder}, strings.Fields(command)...)
		assert.Equal(t, exitBadUsage, code, log)
		assert.Contains(t, log, "SLUICE_DATABASE_URL (database.url): is missing, and sluice "+name+" needs it: write one such as", "sluice %s", command)
		assert.Contains(t, log, "no sluice dev has run in "+folder+": start one with `make run`, name the folder of one in SLUICE_DATA_DIR, or", "sluice %s", command)
	}
	ended := devState{DatabaseURL: "postgres:///sluice?host=" + folder + "&user=sluice&sslmode=disable", NATSURL: "nats://" + freeAddr(t)}
	require.NoError(t, ended.write(folder))
	for _, command := range []string{"lag", "spend show --unknown", "spend settle x --charged --attempt 1 --reason r"} {
		code, _, log := runs(t, []string{"SLUICE_DATA_DIR=" + folder}, strings.Fields(command)...)
		assert.Equal(t, exitFailed, code, log)
		assert.Regexp(t, "cannot reach PostgreSQL at .*is `make run` \\(sluice dev\\) running\\?", log, "sluice %s", command)
	}
}

// TestAllProblemsOfTheSettingsAreReportedAtOnce: one start, one message, and no
// secret in it.
func TestAllProblemsOfTheSettingsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	for role, missing := range map[string][]string{
		"serve":   {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_SECRET_KEY", "SLUICE_REVENUECAT_PROJECT_ID", "SLUICE_WEBHOOK_AUTHORIZATION", "SLUICE_SESSION_SECRET", "SLUICE_CATALOG"},
		"work":    {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_REVENUECAT_SECRET_KEY", "SLUICE_REVENUECAT_PROJECT_ID"},
		"relay":   {"SLUICE_DATABASE_URL", "SLUICE_NATS_URL"},
		"migrate": {"SLUICE_DATABASE_URL"},
	} {
		code, out, log := runs(t, nil, role)
		assert.Equal(t, exitBadUsage, code, log)
		assert.Empty(t, out)
		for _, name := range missing {
			assert.Contains(t, log, name+" (", "sluice %s", role)
		}
	}
	code, _, log := runs(t, []string{
		"SLUICE_SESSION_SECRET=canary-1", "SLUICE_DATABASE_URL=mysql://u:canary-2@h/d", "SLUICE_NATS_URL=nats://u:canary-3@[::1",
		"SLUICE_HTTP_ADDR=8080", "SLUICE_PLAYER_RATE=fast", "SLUICE_SERVER_KEYS=canary 4,canary 4", "SLUICE_DATABSE_URL=canary-5",
	}, "serve")
	assert.Equal(t, exitBadUsage, code, log)
	for _, name := range []string{
		"SLUICE_SESSION_SECRET", "SLUICE_DATABASE_URL", "SLUICE_NATS_URL", "SLUICE_HTTP_ADDR", "SLUICE_PLAYER_RATE", "SLUICE_SERVER_KEYS",
		"SLUICE_DATABSE_URL is not a variable", "SLUICE_CATALOG",
	} {
		assert.Contains(t, log, name)
	}
	assert.NotContains(t, log, "canary")
}

// TestCommandsFindTheRunningDev: beside a `sluice dev`, the other commands need no
// setting but its folder.
func TestCommandsFindTheRunningDev(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.give("player", economy.Amounts{"GEM": 100})
	env := []string{"SLUICE_DATA_DIR=" + s.folder}

	code, out, log := runs(t, env, "token", "--player", "player", "--ttl", "1s")
	require.Zero(t, code, log)
	require.Empty(t, log)
	short := strings.TrimSuffix(out, "\n")
	require.Regexp(t, `^[\w-]+\.[\w-]+\.[\w-]+$`, short, "more than the token was printed")
	r := s.post(t, `{"item":"cursed_relic","idempotencyKey":"k"}`, "Authorization", "Bearer "+short, "Content-Type", "application/json")
	requireProblem(t, r, http.StatusInternalServerError, "item-not-handed-over")
	expired := time.Now().Add(45 * time.Second)

	t.Run("lag", lagShape(env))
	t.Run("spend show", showSpend(env, r.Spend.ID))
	t.Run("an expired token is 401", func(t *testing.T) {
		require.Eventually(t, func() bool {
			r, err := s.send(http.MethodGet, "/inventory", "", "Authorization", "Bearer "+short)
			return err == nil && r.code == http.StatusUnauthorized && strings.Contains(r.Detail, "expired")
		}, time.Until(expired), time.Second, "30 s of leeway after its second, it is still valid")
	})
}

func lagShape(env []string) func(*testing.T) {
	return func(t *testing.T) {
		code, out, log := runs(t, env, "lag", "--json")
		require.Zero(t, code, log)
		var lag struct {
			Consumers []struct {
				Consumer, Lane string
				Messages       *uint64
				OldestAge      *float64 `json:"oldest_age_seconds"`
				Owed, Parked   *int64
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &lag), out)
		names := map[string]bool{}
		for _, line := range lag.Consumers {
			names[line.Consumer+"/"+line.Lane] = true
			require.NotNil(t, line.Messages, out)
			require.NotNil(t, line.OldestAge, out)
			require.NotNil(t, line.Owed, out)
			require.NotNil(t, line.Parked, out)
		}
		listed := map[string]bool{}
		for _, queue := range consumers.Queues(specs) {
			listed[queue.Consumer+"/"+string(queue.Lane)] = true
		}
		require.Equal(t, listed, names)
		code, out, log = runs(t, env, "lag")
		require.Zero(t, code, log)
		require.Regexp(t, `(?m)^CONSUMER +LANE +MESSAGES`, out)
		code, _, log = runs(t, env, "lag", "--max-age", "1h", "--max-pending", "1000")
		require.Zero(t, code, log)
	}
}

func showSpend(env []string, id string) func(*testing.T) {
	return func(t *testing.T) {
		code, out, log := runs(t, env, "spend", "show", id)
		require.Zero(t, code, log)
		for _, line := range []string{"spend " + id + ".*refunded", "player +player", "hand-over refused +the relic refuses every owner", "accepted", "charge applied", "refund applied", "ledger: charge 25 GEM", "ledger: refund 25 GEM"} {
			require.Regexp(t, line, out)
		}
		code, upper, log := runs(t, env, "spend", "show", strings.ToUpper(id))
		require.Zero(t, code, log)
		require.Equal(t, out, upper, "an id in capitals is the same id")
		code, out, log = runs(t, env, "spend", "show", id, "--json")
		require.Zero(t, code, log)
		var story struct {
			Spend       spendView
			Adjustments []map[string]any
			Ledger      []map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(out), &story), out)
		require.Equal(t, id, story.Spend.ID)
		require.Equal(t, "refunded", story.Spend.State)
		require.Len(t, story.Adjustments, 2)
		require.Len(t, story.Ledger, 2)

		for _, unknown := range []string{"0198c0de-0000-7000-8000-000000000000", "not-an-id", filepath.Join("..", "x")} {
			code, out, log = runs(t, env, "spend", "show", unknown)
			require.Equal(t, exitFailed, code, log)
			require.Empty(t, out)
			require.Contains(t, log, "no spend has the id")
		}
		code, out, log = runs(t, env, "spend", "show", "--attention", "--json")
		require.Zero(t, code, log)
		require.JSONEq(t, `{"spends":[]}`, out)
	}
}
