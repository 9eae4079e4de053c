package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// gamesItems are items of games' servers. What is to run out of patience does so soon;
// what is to succeed has all the time that a busy machine needs.
const gamesItems = `items:
  sword:   {price: {GEM: 10}, hand_over: {port: http, endpoint: honest, patience: 10m}}
  shield:  {price: {GEM: 10}, hand_over: {port: http, endpoint: refusing, patience: 10m}}
  late:    {price: {GEM: 10}, hand_over: {port: http, endpoint: late, patience: 1s}}
  lost:    {price: {GEM: 10}, hand_over: {port: http, endpoint: lost, patience: 1s}}
  taken:   {price: {GEM: 10}, hand_over: {port: http, endpoint: taken, patience: 1s}}
  kept:    {price: {GEM: 10}, hand_over: {port: http, endpoint: kept, patience: 1s}}
  hollow:  {price: {GEM: 10}, hand_over: {port: http, endpoint: hollow, patience: 1s}}
  gone:    {price: {GEM: 10}, hand_over: {port: http, endpoint: gone, patience: 1s}}
  unheard: {price: {GEM: 10}, hand_over: {port: http, endpoint: gone, patience: 10m}}
  word:    {price: {GEM: 10}, hand_over: {port: http, endpoint: word, patience: 10m}}
  unset:   {price: {GEM: 10}, hand_over: {port: http, endpoint: unset}}
`

// TestNothingIsFreeAndNobodyPaysForNothing: whatever becomes of the requests to the
// game's own server, a player ends with the item or with the gems.
func TestNothingIsFreeAndNobodyPaysForNothing(t *testing.T) {
	t.Parallel()
	servers, settings := games(t, "honest", "refusing", "late", "lost", "taken", "kept", "hollow", "gone", "word")
	settings = append(settings, "SLUICE_CATALOG="+writeCatalog(t, gamesItems), "SLUICE_HANDOVER_CONFIRM=hollow", "SLUICE_HANDOVER_TIMEOUT=500ms")
	s := newSite(t, settings...).seed().up()
	db := s.database()
	for item, test := range map[string]func(*testing.T, *site, *sqlx.DB, *played){
		"sword": handedOver, "shield": refusedByTheGame, "late": lateGrant, "lost": lostAnswer, "taken": takenBack, "kept": keptByTheGame,
		"hollow": hollowYes, "gone": goneForGood, "word": operatorsWord,
	} {
		name := map[string]string{"sword": "honest", "shield": "refusing"}[item]
		if name == "" {
			name = item
		}
		t.Run(item, func(t *testing.T) {
			t.Parallel()
			s.give(item, economy.Amounts{"GEM": 100})
			test(t, s, db, servers[name])
			if item != "gone" { // where an operator's word stands for the game's
				requireHandedOver(t, db, servers[name], item)
			}
		})
	}
	t.Run("unset", func(t *testing.T) { // nobody could hand it over, so nobody may buy it
		t.Parallel()
		requireProblem(t, s.spend(t, "unset", "unset", "k"), http.StatusForbidden, "item-paused")
		require.True(t, s.log.has("item is not sold: SLUICE_HANDOVER_URL does not name its endpoint"))
	})
	t.Run("verify", func(t *testing.T) { t.Parallel(); verifies(t, s) })
}

// handedOverByTheSampleGame: what `sluice dev` runs beside everything else hands over
// an item of the demo catalogue, and passes its own conformance test.
func handedOverByTheSampleGame(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("fan", economy.Amounts{"GEM": 100})
		r := s.spend(t, "fan", "guild_banner", "k", "Prefer", "wait=30")
		require.Equal(t, http.StatusOK, r.code, r)
		state, err := readDevState(s.folder)
		require.NoError(t, err)
		require.True(t, s.out.has(state.GameURL))
		held := map[string]int64{}
		controlSimulator(t, s.client, http.MethodGet, strings.TrimSuffix(state.GameURL, samplegame.Path)+"/control/players/fan", "", &held)
		require.Equal(t, map[string]int64{"guild_banner": 1}, held)
		code, out, log := runs(t, s.env, "handover", "verify", "game")
		require.Zero(t, code, out+log)
	}
}

func handedOver(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	r := s.spend(t, "sword", "sword", "k", "Prefer", "wait=30")
	require.Equal(t, http.StatusOK, r.code, r)
	require.Len(t, r.Granted, 1)
	require.Equal(t, map[string]int64{"sword": 1}, game.Holds("sword"))
	require.Empty(t, s.inventory(t, "sword"), "it lies in the game's own inventory")
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("sword"))
}

func refusedByTheGame(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.SetFaults(samplegame.Faults{Refuse: true})
	r := s.spend(t, "shield", "shield", "k", "Prefer", "wait=30")
	requireProblem(t, r, http.StatusInternalServerError, "item-not-handed-over")
	require.Equal(t, "refunded", r.Spend.State)
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("shield"))
	_, out, _ := runs(t, s.env, "spend", "show", r.Spend.ID)
	require.Contains(t, out, "the game refused the item: the game refuses every owner")
	require.Contains(t, out, "its item is revoked")
}

// lateGrant: a grant is held on the network until its spend is refunded.
func lateGrant(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.road(true, false)
	spend := s.buy(t, "late", "late")
	s.spendAt(t, "late", "/spends/"+spend.ID, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("late"))
	answers := game.release()
	require.NotEmpty(t, answers, "no grant was under way: this tests nothing")
	for _, answer := range answers {
		require.Contains(t, answer, `"state":"revoked"`)
	}
	require.Empty(t, game.Holds("late"))
}

// lostAnswer: every answer to a grant is lost; a check finds that it was made.
func lostAnswer(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.road(false, true)
	spend := s.buy(t, "lost", "lost")
	s.spendAt(t, "lost", "/spends/"+spend.ID, "fulfilled")
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("lost"))
	require.Equal(t, map[string]int64{"lost": 1}, game.Holds("lost"))
}

// takenBack: no answer of any kind comes through for longer than patience lasts. The
// item was granted; the game takes it back before the gems are.
func takenBack(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.SetFaults(samplegame.Faults{LoseAnswer: 1})
	spend := s.buy(t, "taken", "taken")
	s.spendAt(t, "taken", "/spends/"+spend.ID, "refunding")
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("taken"), "not while the game is silent")
	game.SetFaults(samplegame.Faults{})
	s.spendAt(t, "taken", "/spends/"+spend.ID, "refunded")
	require.Empty(t, game.Holds("taken"))
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("taken"))
}

// keptByTheGame: the same, and the player has used the item: it is paid for.
func keptByTheGame(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.SetFaults(samplegame.Faults{LoseAnswer: 1, Keep: true})
	spend := s.buy(t, "kept", "kept")
	s.spendAt(t, "kept", "/spends/"+spend.ID, "refunding")
	game.SetFaults(samplegame.Faults{Keep: true})
	s.spendAt(t, "kept", "/spends/"+spend.ID, "fulfilled")
	require.Equal(t, map[string]int64{"kept": 1}, game.Holds("kept"))
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("kept"))
	_, out, _ := runs(t, s.env, "spend", "show", spend.ID)
	require.Contains(t, out, "does not take it back: it is used")
}

// hollowYes: the server says yes to everything and does nothing. Its yes must be
// confirmed, so nobody believes it.
func hollowYes(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.SetFaults(samplegame.Faults{HollowGrant: true, HollowRevoke: true})
	spend := s.buy(t, "hollow", "hollow")
	require.Eventually(t, func() bool {
		r, err := s.send(http.MethodGet, "/metrics", "")
		return err == nil && metric(r.raw, `sluice_handover_contradictions_total{endpoint="hollow",operation="grant"}`) > 0 &&
			metric(r.raw, `sluice_handover_contradictions_total{endpoint="hollow",operation="revoke"}`) > 0
	}, time.Minute, 5*tick)
	require.Equal(t, "refunding", s.spendAt(t, "hollow", "/spends/"+spend.ID, "refunding").State)
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("hollow"))
	game.SetFaults(samplegame.Faults{HollowGrant: true})
	s.spendAt(t, "hollow", "/spends/"+spend.ID, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("hollow"))
}

// goneForGood: a server that never answers again keeps spends open, where they can be
// seen, until an operator says what became of the items.
func goneForGood(t *testing.T, s *site, _ *sqlx.DB, game *played) {
	t.Helper()
	game.SetFaults(samplegame.Faults{Down: true})
	s.give("never", economy.Amounts{"GEM": 10})
	back, keeps, never := s.buy(t, "gone", "gone"), s.buy(t, "gone", "unheard"), s.buy(t, "never", "unheard")
	s.spendAt(t, "gone", "/spends/"+back.ID, "refunding")
	code, out, log := runs(t, s.env, "handover", "show")
	require.Zero(t, code, log)
	require.Regexp(t, `(?m)^gone +2 +1 +\d+s`, out)
	require.Regexp(t, `(?m)^honest +0 +0 +0s`, out)

	code, out, log = runs(t, s.env, "handover", "show", "gone")
	require.Zero(t, code, log)
	require.Regexp(t, back.ID+` +refunding +1 x gone +10 GEM`, out)
	require.Regexp(t, keeps.ID+` +charged +1 x unheard +10 GEM`, out)

	settle := func(id, word string) (int, string) {
		code, out, log := runs(t, s.env, "handover", "settle", id, word, "--reason", "its server was given up")
		return code, out + log
	}
	code, out = settle(keeps.ID, "--granted")
	require.Zero(t, code, out)
	require.Equal(t, "fulfilled", s.spendAt(t, "gone", "/spends/"+keeps.ID, "fulfilled").State)
	// An operator wants that one back after all; the server cannot be asked, so a word ends this, too.
	code, out, log = runs(t, s.env, "spend", "refund", keeps.ID, "--reason", "bought by mistake")
	require.Zero(t, code, out+log)
	s.spendAt(t, "gone", "/spends/"+keeps.ID, "refunding")
	code, out = settle(keeps.ID, "--granted")
	require.Zero(t, code, out)
	require.Equal(t, "fulfilled", s.spendAt(t, "gone", "/spends/"+keeps.ID, "fulfilled").State)
	code, out = settle(back.ID, "--revoked")
	require.Zero(t, code, out)
	require.NotContains(t, out, "your word alone", "workers have asked that server all the while")
	code, out = settle(never.ID, "--revoked")
	require.Zero(t, code, out)
	require.Contains(t, out, "endpoint gone did not revoke the item")
	require.Contains(t, out, "rests on your word alone")
	s.spendAt(t, "never", "/spends/"+never.ID, "refunded")
	s.spendAt(t, "gone", "/spends/"+back.ID, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 90}, s.balance("gone"))
	code, out = settle(back.ID, "--granted")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "only a charged or refunding spend")
	_, out, _ = runs(t, s.env, "spend", "show", back.ID)
	require.Contains(t, out, "an operator: its server was given up")
}

// operatorsWord: an operator says that an item never came, of a server that is alive
// after all. It is told to revoke the item first: a grant on the road comes too late,
// and the word is not taken for an item that the player keeps.
func operatorsWord(t *testing.T, s *site, db *sqlx.DB, game *played) {
	t.Helper()
	settle := func(id, word string) (int, string) {
		code, out, log := runs(t, s.env, "handover", "settle", id, word, "--reason", "the player says so")
		return code, out + log
	}
	game.road(false, true)
	kept := s.buy(t, "word", "word")
	require.Eventually(t, func() bool { return game.Holds("word")["word"] == 1 }, startPatience, tick)
	game.SetFaults(samplegame.Faults{Keep: true})
	code, out := settle(kept.ID, "--revoked")
	require.Equal(t, exitFailed, code, out)
	require.Contains(t, out, "the player has the item and keeps it (it is used): nothing was settled")
	require.Equal(t, "charged", s.spendAt(t, "word", "/spends/"+kept.ID, "charged").State)
	game.road(false, false)
	s.spendAt(t, "word", "/spends/"+kept.ID, "fulfilled")

	game.road(true, false)
	s.give("deceived", economy.Amounts{"GEM": 100})
	late := s.buy(t, "deceived", "word")
	s.spendAt(t, "deceived", "/spends/"+late.ID, "charged")
	code, out = settle(late.ID, "--revoked")
	require.Zero(t, code, out)
	require.NotContains(t, out, "your word alone")
	s.spendAt(t, "deceived", "/spends/"+late.ID, "refunded")
	require.NotEmpty(t, game.release(), "no grant was under way: this tests nothing")
	require.Empty(t, game.Holds("deceived"))
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("deceived"))

	// The workers may hear of the revoke and give the cost back before the operator's
	// command hears of it: what was asked for has come about all the same.
	game.road(true, false)
	s.give("overtaken", economy.Amounts{"GEM": 100})
	overtaken := s.buy(t, "overtaken", "word")
	s.spendAt(t, "overtaken", "/spends/"+overtaken.ID, "charged")
	slow := game.slowly()
	settling := launch(t, append(slices.Clone(s.env), "SLUICE_HANDOVER_TIMEOUT=10s"), "handover", "settle", overtaken.ID, "--revoked", "--reason", "the player says so")
	select {
	case <-slow.arrived:
	case <-settling.ended:
		require.Fail(t, "the endpoint was not told to revoke", settling.log.String())
	}
	game.road(false, false) // the next grant arrives, and is refused
	s.spendAt(t, "overtaken", "/spends/"+overtaken.ID, "refunded")
	close(slow.answer)
	require.Zero(t, settling.exitCode(), settling.log.String())
	require.Contains(t, settling.out.String(), overtaken.ID+" is refunded")
	require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("overtaken"))
	game.release()
	require.Empty(t, game.Holds("overtaken"))
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM operator_acts WHERE subject = '"+overtaken.ID+"' AND reason = 'the player says so'"), "whoever was faster, it was an operator's act")

	// The mark of an item that was taken back from a fulfilled spend ends by the word
	// that the player has it.
	_, err := db.ExecContext(t.Context(), "UPDATE spends SET needs_operator = $2 WHERE id = $1", kept.ID, economy.TakenByGame)
	require.NoError(t, err)
	code, out = settle(kept.ID, "--revoked")
	require.Equal(t, exitFailed, code, out)
	require.Contains(t, out, "sluice spend refund "+kept.ID)
	code, out = settle(kept.ID, "--granted")
	require.Zero(t, code, out)
	require.Zero(t, count(t, db, "SELECT count(*) FROM spends WHERE needs_operator <> ''"))
	code, out = settle(kept.ID, "--granted")
	require.Equal(t, exitFailed, code, out)
}

// TestEndpointsTakeNoRoomFromOthers: however many endpoints keep all they may have in
// hand, the consumers that ask them have the room for other spends that they had.
func TestEndpointsTakeNoRoomFromOthers(t *testing.T) {
	t.Parallel()
	_, settings := games(t, "one", "two")
	cfg, err := config.LoadEnviron(append(settings, "SLUICE_HANDOVER_CONCURRENCY=3"), os.ReadFile)
	require.NoError(t, err)
	p := &process{config: cfg, registry: prometheus.NewRegistry()}
	require.NoError(t, p.startEndpoints())
	t.Cleanup(p.endpoints.Close)
	for _, spec := range specs {
		want := 0
		if asks := []string{fulfil.Spec.Name, compensate.Spec.Name}; slices.Contains(asks, spec.Name) {
			want = 2 * (3 + 3) // under way, and waiting for a slot
		}
		require.Equal(t, want, p.roomFor(spec), spec.Name)
	}
}
