package sluice_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluice-gems/sluice"

// room is a package of the house and whom it may ask.
type room struct {
	path string
	why  string   // what the package is for, and so why it needs no more
	may  []string // the packages of ours it may import; "*" is every one that production code may have
}

// rooms is the table of the layout. A new folder needs a line here, and a reason.
var rooms = []room{
	{"", "holds this test", nil},
	{"economy", "the nouns: standard library only, so that every rule is a table", nil},
	{"config", "what the operator sets, and the catalogue", []string{"economy"}},
	{"events", "the wire contract", []string{"economy"}},
	{"migrations", "SQL files", nil},
	{"outbox", "makes facts durable; knows no broker", []string{"events", "economy", "internal/postgres", "internal/tracing"}},

	{"internal/postgres", "the only room that knows lib/pq", []string{"migrations"}},
	{"internal/broker", "the only room that knows NATS", []string{"events", "economy"}},
	{"internal/tracing", "carries a trace from hop to hop", nil},
	{"internal/telemetry", "the only room that knows OpenTelemetry's SDK", []string{"internal/tracing"}},
	{"internal/gather", "answers many who ask by few reads; knows nothing of what is read", nil},
	{"internal/pacing", "has work that nobody waits for rest while players spend", nil},
	{"internal/books", "the tables of money: row kinds and reads", []string{"outbox", "events", "economy", "internal/gather", "internal/postgres"}},
	{"internal/revenuecat", "speaks to the provider; knows none of our tables", []string{"economy", "internal/tracing"}},
	{"internal/handover", "speaks to the game's own servers; knows none of our tables", []string{"economy", "internal/tracing"}},
	{"internal/samplegame", "plays a game's server; shares no code with the client it tests", nil},
	{"internal/purchases", "the tables of purchases made with money: row kinds and reads", []string{"outbox", "events", "economy", "internal/gather", "internal/postgres"}},
	{"internal/revenuecat/webhooks", "reads what the provider tells; knows none of our tables", []string{"economy"}},
	{"internal/revenuecat/simulator", "plays the provider; shares no code with the client it tests", []string{"economy"}},
	{
		"internal/budget", "decides which call to the provider starts when, over all processes",
		[]string{"internal/revenuecat", "internal/postgres", "economy"},
	},
	{
		"internal/adjustments", "binds spends to calls at the provider",
		[]string{"internal/books", "internal/gather", "internal/revenuecat", "outbox", "events", "economy", "internal/postgres", "internal/tracing"},
	},
	{
		"internal/operations", "what operators do, with its audit; knows no broker and no HTTP",
		[]string{"internal/adjustments", "internal/books", "internal/purchases", "internal/revenuecat/webhooks", "outbox", "events", "economy", "internal/postgres"},
	},
	{"internal/retention", "lets history go by age", []string{"internal/purchases", "internal/postgres"}},
	{
		"internal/monitor", "the one reader of how all stands; writes only when webhooks could come, and which endpoint fails",
		[]string{
			"internal/audit", "internal/broker", "internal/budget", "internal/handover", "internal/postgres", "internal/revenuecat", "outbox", "events", "economy",
			"internal/books",
		},
	},

	{
		"internal/console", "shows the tables to people who operate; acts through internal/operations only",
		[]string{
			"internal/audit", "internal/books", "internal/budget", "internal/monitor", "internal/operations", "internal/postgres", "internal/purchases",
			"producers", "producers/backfill", "events", "economy",
		},
	},

	{
		"internal/reconcile", "compares the provider's balances with our ledger, and corrects the ledger",
		[]string{"internal/books", "internal/postgres", "internal/revenuecat", "economy"},
	},
	{"internal/audit", "proves the books, and changes none of them", []string{"internal/books", "internal/postgres", "economy"}},

	{
		"internal/gemstore", "the store to play with, of sluice dev: shows what is written down, and breaks what is played",
		[]string{"internal/books", "internal/postgres", "events", "economy"},
	},
	{"internal/openapi", "describes the API; knows nothing of how it is answered", nil},
	{"internal/exports", "reads the provider's export files; knows none of our tables", []string{"economy"}},
	{"internal/exports/generator", "writes exports for tests and trials; shares no code with the reader it tests", nil},

	{"producers", "the contract of what writes to the outbox", producerMay},
	{"producers/spendapi", "takes spends over HTTP", append([]string{"producers"}, producerMay...)},
	{
		"producers/currencyfeed", "holds the provider's ledger against ours, and settles by it what is unknown",
		[]string{"internal/books", "internal/exports", "internal/postgres", "economy"},
	},
	{"producers/rcwebhook", "takes the provider's webhooks", append([]string{"producers"}, producerMay...)},
	{"producers/backfill", "replays the provider's exports", append([]string{"internal/exports", "internal/pacing"}, producerMay...)},

	{
		"consumers", "the contract and the runner of what reads from the broker",
		[]string{"internal/broker", "outbox", "events", "economy", "internal/books", "internal/adjustments", "internal/postgres", "internal/tracing"},
	},
	{"consumers/adjust", "charges", consumerMay},
	{"consumers/fulfil", "hands over", consumerMay},
	{"consumers/compensate", "refunds", consumerMay},
	{"consumers/access", "turns what stores tell into what customers may use and have", consumerMay},
	{"consumers/mirror", "keeps what the provider does to balances", consumerMay},
	{"consumers/resync", "reads customers from the provider again", consumerMay},

	{"internal/serving", "ends an HTTP server without cutting a client off; knows nothing of what it serves", nil},
	{"internal/devstack", "starts servers; knows nothing of what they are for", nil},
	{"internal/simulation", "runs the real saga against models, in tests; nobody imports it", nil},
	{"internal/bench/load", "asks an API for spends; knows nothing of what is behind it", nil},
	{
		"internal/bench", "measures a site from outside, and checks its books",
		[]string{"internal/bench/load", "internal/broker", "internal/devstack", "internal/postgres", "events", "economy"},
	},
	{"internal/testenv", "gives tests the real things", []string{"*"}},
	{"internal/testenv/browser", "opens pages in a real Chromium, in tests", nil},
	{"internal/testenv/contract", "holds the answers of servers against the API's description, in tests", []string{"internal/openapi"}},
	{"deploy", "tests of the image and of docker-compose.yml; nobody imports it", nil},
	{"cmd/sluice", "wires, and nothing else", []string{"*"}},
}

// A producer never imports the config: cmd passes it what it needs.
var producerMay = []string{
	"outbox", "internal/books", "internal/purchases", "internal/revenuecat", "internal/revenuecat/webhooks", "internal/postgres", "internal/tracing", "events", "economy",
}

// A consumer speaks in events, never to another consumer, never to the broker.
var consumerMay = []string{
	"consumers", "internal/adjustments", "internal/books", "internal/handover", "internal/purchases", "internal/revenuecat", "internal/revenuecat/webhooks", "outbox", "events", "economy",
}

// A foreign module that only some rooms may know. Tests of any package may.
var foreign = []struct {
	prefix string
	rooms  []string
	why    string
}{
	{"github.com/lib/pq", []string{"internal/postgres"}, "errors and arrays of the driver stay behind internal/postgres"},
	{"github.com/pressly/goose", []string{"internal/postgres"}, "the schema is kept in one place"},
	{"github.com/nats-io/", []string{"internal/broker"}, "JetStream is transport, and one room knows it"},
	{"github.com/ThreeDotsLabs/watermill", []string{"internal/broker", "consumers", "cmd/sluice"}, "a consumer speaks events, not messages"},
	{"go.opentelemetry.io/otel/sdk", []string{"internal/telemetry"}, "everybody else starts spans through the API, and never says where they go"},
	{"gocloud.dev/", []string{"internal/exports"}, "only exports are in buckets"},
	{"github.com/parquet-go/", []string{"internal/exports", "internal/exports/generator"}, "everybody else reads rows, whatever their format"},
	{"go.opentelemetry.io/otel/exporters/", []string{"internal/telemetry"}, "the same"},
}

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath   string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func (p pkg) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// testImports are what the package's tests import beyond the package itself.
func (p pkg) testImports() []string { return slices.Concat(p.TestImports, p.XTestImports) }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,GoFiles,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var found []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		found = append(found, p)
	}
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		at := slices.IndexFunc(rooms, func(r room) bool { return r.path == p.room() })
		if at < 0 {
			t.Errorf("%s is not in the table of layout_test.go: give it a line that says what it is for and whom it may import", p.room())
			continue
		}
		checkOwn(t, rooms[at], p)
		checkForeign(t, p)
		checkTests(t, p)
	}
}

// checkOwn holds the package's imports of ours against the table.
func checkOwn(t *testing.T, r room, p pkg) {
	t.Helper()
	for _, path := range p.Imports {
		imported, ours := strings.CutPrefix(path, module+"/")
		if !ours {
			continue
		}
		switch {
		case imported == "internal/testenv" || strings.HasPrefix(imported, "internal/testenv/"):
			t.Errorf("%s imports %s: only tests may", r.path, imported)
		case imported == "config" && r.path != "cmd/sluice" && r.path != "internal/testenv":
			t.Errorf("%s imports config: cmd/sluice reads it and passes on what a package needs", r.path)
		case !slices.Contains(r.may, imported) && !slices.Contains(r.may, "*"):
			t.Errorf("%s (%s) imports %s; it may import: %s", r.path, r.why, imported, strings.Join(r.may, ", "))
		case r.path == "internal/testenv" && strings.HasPrefix(imported, "cmd/"):
			t.Errorf("internal/testenv imports %s: tests of the program start the program", imported)
		}
	}
}

// checkForeign holds its imports of others' modules against foreign.
func checkForeign(t *testing.T, p pkg) {
	t.Helper()
	for _, path := range p.Imports {
		first, _, _ := strings.Cut(path, "/")
		if p.room() == "economy" && strings.Contains(first, ".") {
			t.Errorf("economy imports %s: it is the standard library's only", path)
		}
		for _, f := range foreign {
			if strings.HasPrefix(path, f.prefix) && !slices.Contains(f.rooms, p.room()) {
				t.Errorf("%s imports %s; only %s may: %s", p.room(), path, strings.Join(f.rooms, " and "), f.why)
			}
		}
	}
}

// checkTests: a test may import more, but what must not know each other must not
// meet in a test either; the whole is tested in cmd/sluice.
func checkTests(t *testing.T, p pkg) {
	t.Helper()
	self := p.room()
	if self == "cmd/sluice" || self == "internal/testenv" {
		return
	}
	for _, path := range p.testImports() {
		imported := strings.TrimPrefix(path, module+"/")
		switch {
		case imported == self:
		case strings.HasPrefix(self, "producers") && strings.HasPrefix(imported, "consumers"),
			strings.HasPrefix(self, "consumers") && strings.HasPrefix(imported, "producers"):
			t.Errorf("the tests of %s import %s: producers and consumers meet in cmd/sluice only", self, imported)
		case strings.HasPrefix(self, "consumers/") && strings.HasPrefix(imported, "consumers/"):
			t.Errorf("the tests of %s import %s: consumers speak in events, in tests, too", self, imported)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
