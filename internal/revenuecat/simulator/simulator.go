package simulator

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// ProjectIDDefault is the only project, unless Config.ProjectID names another.
const ProjectIDDefault = "proj_sim"

// Config says what is simulated. The zero value works.
type Config struct {
	ProjectID     string                      // "": ProjectIDDefault; every other project is a 404
	SecretKey     string                      // "": every Bearer key is accepted
	Now           func() time.Time            // nil: time.Now; a Delay passes in real time all the same
	Seed          uint64                      // of the dice that the shares of Faults are rolled with
	Log           *slog.Logger                // nil: nothing is logged
	Currencies    map[economy.Currency]string // code to name; nil: GEM "Gems" and GOLD "Gold"
	RatePerMinute int                         // calls a minute of each limited domain, 0: no limit and no rate headers
	AutoCreate    bool                        // a customer nobody created holds nothing, instead of being a 404
	JournalPath   string                      // "": customers live in memory only; see journal
	OpenControls  bool                        // the control side answers every machine, instead of this one only
	Products      []Product                   // what the stores sell; see AddProducts
	Webhooks      Webhooks                    // where events of purchases go
}

// Simulator is an http.Handler, safe for use by many goroutines.
type Simulator struct {
	project    string
	secretKey  string
	now        func() time.Time
	log        *slog.Logger
	currencies map[economy.Currency]string
	autoCreate bool
	controls   bool // open to every machine
	initial    Faults
	seed       uint64
	startedAt  time.Time
	mux        *http.ServeMux
	hooks      *sender

	mu      sync.Mutex // guards all below
	books   *books
	journal *journal            // nil: none
	busy    map[string]struct{} // customers with a write under way
	faults  Faults
	dice    *rand.Rand
	windows map[domain]*window
	stats   Stats

	products map[string]Product // by the provider's id
}

// New returns a simulator that holds what its journal holds, and opens the
// journal for more. Close it.
func New(cfg Config) (*Simulator, error) {
	s := &Simulator{
		project: cfg.ProjectID, secretKey: cfg.SecretKey, now: cfg.Now, log: cfg.Log,
		currencies: cfg.Currencies, autoCreate: cfg.AutoCreate, controls: cfg.OpenControls, seed: cfg.Seed,
		initial: Faults{RatePerMinute: cfg.RatePerMinute},
		mux:     http.NewServeMux(), books: newBooks(), busy: map[string]struct{}{}, products: map[string]Product{},
	}
	if s.project == "" {
		s.project = ProjectIDDefault
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.currencies == nil {
		s.currencies = map[economy.Currency]string{"GEM": "Gems", "GOLD": "Gold"}
	}
	err := s.initial.Validate()
	for code := range s.currencies {
		err = errors.Join(err, code.Validate())
	}
	s.startedAt = s.timestamp()
	err = errors.Join(err, s.AddProducts(cfg.Products...), cfg.Webhooks.validate())
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s.restart()
	if cfg.JournalPath != "" {
		if s.journal, err = openJournal(cfg.JournalPath, s.books, s.log); err != nil {
			return nil, fmt.Errorf("simulator: %w", err)
		}
	}
	s.hooks = newSender(cfg.Webhooks, s.now, s.seed, s.log)
	s.routeProvider()
	s.routeReads()
	s.routeControl()
	return s, nil
}

// ServeHTTP answers one call.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends the webhooks under way and closes the journal; with one, a write after
// it is answered with a 500 and not applied. The second call returns nil.
func (s *Simulator) Close() error {
	s.hooks.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return s.journal.close()
}

// restart puts everything but the books back to the start. The caller holds mu,
// or is the only one to know s.
func (s *Simulator) restart() {
	s.faults = s.initial
	s.dice = rand.New(rand.NewPCG(s.seed, 0))
	s.windows = map[domain]*window{}
	s.stats = newStats()
}

// write makes e part of the books: first in the journal, then in memory. When
// the journal refuses, nothing has changed. The caller holds mu.
func (s *Simulator) write(e entry) error {
	if s.journal != nil {
		if err := s.journal.append(e); err != nil {
			return err
		}
	}
	s.books.apply(e)
	return nil
}
