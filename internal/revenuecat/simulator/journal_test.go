package simulator_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

const spend30 = `{"adjustments":{"GEM":-30},"reference":"r"}`

// spendAndKill leaves a journal behind as a kill -9 would: nobody closed it.
func spendAndKill(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "simulator.jsonl")
	w := newWorld(t, simulator.Config{JournalPath: path})
	w.set(t, "p1", economy.Amounts{"GEM": 100, "GOLD": 2})
	equal(t, "spend", w.call(t, http.MethodPost, adjust, spend30, "Idempotency-Key", "k1").status, 200)
	equal(t, "create", w.call(t, http.MethodPost, project+"/customers", `{"id":"p2"}`).status, 201)
	return path
}

func TestJournalKeepsBalancesAndKeysOverAKill(t *testing.T) {
	t.Parallel()
	path := spendAndKill(t)
	for range 3 {
		w := newWorld(t, simulator.Config{JournalPath: path})
		equal(t, "balance", w.Balance("p1"), economy.Amounts{"GEM": 70, "GOLD": 2})
		equal(t, "created", w.Balance("p2"), economy.Amounts{})
		equal(t, "replay", w.call(t, http.MethodPost, adjust, spend30, "Idempotency-Key", "k1").status, 200)
		equal(t, "conflict", w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`, "Idempotency-Key", "k1").status, 409)
		equal(t, "transactions", len(w.Transactions("p1")), 1)
	}
}

func TestJournalCutsATornLineOff(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(spendAndKill(t))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for _, cut := range []int{1, len(lines[1]) / 2, len(lines[1]) - 1} {
		path := filepath.Join(t.TempDir(), "torn.jsonl")
		if err := os.WriteFile(path, []byte(lines[0]+lines[1][:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, simulator.Config{JournalPath: path})
		equal(t, "the torn spend is gone", w.Balance("p1"), economy.Amounts{"GEM": 100, "GOLD": 2})
		equal(t, "spent again", w.call(t, http.MethodPost, adjust, spend30, "Idempotency-Key", "k1").status, 200)
		equal(t, "after it", newWorld(t, simulator.Config{JournalPath: path}).Balance("p1")["GEM"], 70)
	}
}

func TestJournalRefusesALineItCannotRead(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"garbage", "{}", `{"set":{"customer":"a","at":"2026-03-01T12:00:00Z"},"more":1}`} {
		path := filepath.Join(t.TempDir(), "bad.jsonl")
		good := `{"set":{"customer":"a","at":"2026-03-01T12:00:00Z"}}`
		if err := os.WriteFile(path, []byte(good+"\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := simulator.New(simulator.Config{JournalPath: path}); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := simulator.New(simulator.Config{JournalPath: t.TempDir()}); err == nil {
		t.Error("a folder was opened as a journal")
	}
}

func TestJournalIsEmptiedByAReset(t *testing.T) {
	t.Parallel()
	path := spendAndKill(t)
	w := newWorld(t, simulator.Config{JournalPath: path})
	if err := w.Reset(); err != nil {
		t.Fatal(err)
	}
	w.set(t, "p9", economy.Amounts{"GEM": 9})
	again := newWorld(t, simulator.Config{JournalPath: path})
	equal(t, "old", again.Balance("p1") == nil, true)
	equal(t, "new", again.Balance("p9"), economy.Amounts{"GEM": 9})
}

func TestNothingIsAppliedThatTheJournalDoesNotHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{JournalPath: filepath.Join(t.TempDir(), "j")})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "answer", w.call(t, http.MethodPost, adjust, spend30).problem(), "500 server_error")
	equal(t, "creation", w.call(t, http.MethodPost, project+"/customers", `{"id":"p2"}`).problem(), "500 server_error")
	equal(t, "balance", w.Balance("p1"), economy.Amounts{"GEM": 100})
	if err := w.SetBalance("p1", economy.Amounts{"GEM": 1}); err == nil {
		t.Error("the balance was set")
	}
}
