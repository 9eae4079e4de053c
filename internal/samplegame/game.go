package samplegame

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// What needs no configuration.
const (
	Path     = "/sluice"             // where requests of Sluice are posted
	TestItem = "sluice_test_item"    // known to every such server, for sluice handover verify; given in tests only
	NoItem   = "sluice_no_such_item" // known to none
)

// bodyMax bounds the bytes of a request.
const bodyMax = 64 << 10

// Config says what the game has. Secrets are needed.
type Config struct {
	Secrets []string     // whsec_...; a request must be signed by one of them
	Items   []string     // what can be granted; nil: everything but NoItem
	Log     *slog.Logger // nil: nothing is logged
}

// Game is an http.Handler, safe for concurrent use.
type Game struct {
	secrets []*standardwebhooks.Webhook
	items   []string
	log     *slog.Logger
	mux     *http.ServeMux

	mu      sync.Mutex // one request at a time decides
	faults  Faults
	records map[string]*Record
	held    map[string]map[string]int64 // by player and item
}

// New returns a game in which nobody holds anything.
func New(cfg Config) (*Game, error) {
	g := &Game{items: cfg.Items, log: cfg.Log, mux: http.NewServeMux(), records: map[string]*Record{}, held: map[string]map[string]int64{}}
	if len(cfg.Secrets) == 0 {
		return nil, errors.New("sample game: there is no secret")
	}
	for _, secret := range cfg.Secrets {
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("sample game: %w", err)
		}
		g.secrets = append(g.secrets, webhook)
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.mux.HandleFunc("POST "+Path, g.serve)
	g.routeControl()
	return g, nil
}

// ServeHTTP answers one request.
func (g *Game) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// request is what Sluice posts. Members that are not here are ignored.
type request struct {
	Operation string `json:"operation"`
	SpendID   string `json:"spend_id"`
	AppUserID string `json:"app_user_id"`
	Item      string `json:"item"`
	Quantity  int64  `json:"quantity"`
	Test      bool   `json:"test"`
}

// answer is what Sluice is told.
type answer struct {
	SpendID  string `json:"spend_id"`
	State    State  `json:"state"`
	Quantity int64  `json:"quantity,omitempty"` // how many the spend gave, when it is granted
	Reason   string `json:"reason,omitempty"`
}

// serve takes a request apart, in this order: its size, its signature and age, its
// body. Only then anything is done.
func (g *Game) serve(w http.ResponseWriter, r *http.Request) {
	faults := g.Faults()
	if faults.Down {
		panic(http.ErrAbortHandler)
	}
	if rand.Float64() < faults.FailBefore {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := g.verify(body, r.Header, faults); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var asked request
	if err := json.Unmarshal(body, &asked); err != nil || asked.SpendID == "" || asked.Quantity < 1 {
		http.Error(w, "this is no request of Sluice's", http.StatusBadRequest)
		return
	}
	if faults.Delay > 0 {
		<-time.After(time.Duration(faults.Delay)) // whoever asked may be gone by then
	}
	said, ok := g.decide(asked.Operation, Record{Player: asked.AppUserID, Item: asked.Item, Quantity: asked.Quantity, Test: asked.Test}, asked.SpendID)
	if !ok {
		http.Error(w, "there is no such operation", http.StatusBadRequest)
		return
	}
	g.log.InfoContext(r.Context(), "hand-over", "operation", asked.Operation, "spend_id", asked.SpendID, "state", said.State)
	if faults.OtherSpend {
		said.SpendID = "another"
	}
	if rand.Float64() < faults.LoseAnswer {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said)
}

// verify reports why a request is not Sluice's, or too old.
func (g *Game) verify(body []byte, header http.Header, faults Faults) error {
	if faults.SkipSignature {
		return nil
	}
	err := errors.New("no secret")
	for _, secret := range g.secrets {
		if faults.SkipTimestamp {
			err = secret.VerifyIgnoringTimestamp(body, header)
		} else {
			err = secret.Verify(body, header)
		}
		if err == nil {
			return nil
		}
	}
	return err
}

func (g *Game) knows(asked Record) bool {
	if asked.Item == TestItem {
		return asked.Test
	}
	return slices.Contains(g.items, asked.Item) || g.items == nil && asked.Item != NoItem
}
