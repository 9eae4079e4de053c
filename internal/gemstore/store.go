package gemstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// Path is where the store is.
const Path = "/store/"

// PlayerPrefix begins the App User IDs of the store's players. Sessions are given
// for no others.
const PlayerPrefix = "shopper_"

var playerName = regexp.MustCompile(`^` + PlayerPrefix + `[a-z0-9]{4,24}$`)

// Stream is what the store looks at and may wipe; broker.Conn does.
type Stream interface {
	Watch(subject string, do func(data []byte)) (stop func(), err error)
	Wipe(ctx context.Context) error
}

// Config says what the store is made of. What is not marked optional is required.
type Config struct {
	DB        *sqlx.DB
	Stream    Stream
	Catalog   func() economy.Catalog
	Sign      func(player string) (token string, err error) // a session of a player
	ServerKey string                                        // optional: grants a quest's reward; empty: no quests
	Simulator string                                        // where the simulated provider is, such as http://127.0.0.1:8081
	Rate      int                                           // calls a minute the simulator admits unless a switch says otherwise; 0: no limit
	Game      string                                        // optional: where the sample game is; empty: its switches are not shown
	Now       func() time.Time
	Log       *slog.Logger
	Done      <-chan struct{} // optional: closed when the process stops; it ends what is streamed
}

// Store serves the page and what it asks for. It is safe for concurrent use.
type Store struct {
	db        *sqlx.DB
	books     *books.Books
	stream    Stream
	catalog   func() economy.Catalog
	sign      func(string) (string, error)
	serverKey string
	simulator control
	game      control
	rate      int
	now       func() time.Time
	log       *slog.Logger
	done      <-chan struct{}

	passed passed
	tally  tally

	mu     sync.Mutex
	wiped  time.Time
	bought map[string][]bought // by player, newest first
	looks  map[string]*looking // by player
}

// New checks the configuration. Nothing is asked before the first request.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Stream == nil || c.Catalog == nil || c.Sign == nil || c.Simulator == "" || c.Now == nil || c.Log == nil {
		return nil, errors.New("gem store: DB, Stream, Catalog, Sign, Simulator, Now and Log are needed")
	}
	client := &http.Client{}
	return &Store{
		db: c.DB, books: books.New(c.DB), stream: c.Stream, catalog: c.Catalog, sign: c.Sign, serverKey: c.ServerKey,
		simulator: control{c.Simulator, client}, game: control{c.Game, client}, rate: c.Rate, now: c.Now, log: c.Log, done: c.Done,
		passed: passed{at: map[string]passage{}}, bought: map[string][]bought{}, looks: map[string]*looking{},
	}, nil
}

// Routes registers the page and its calls below Path.
func (s *Store) Routes(mux *http.ServeMux) {
	foreign := http.NewCrossOriginProtection()
	route := func(pattern string, handle func(w http.ResponseWriter, r *http.Request) error) {
		mux.Handle(pattern, foreign.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			guard(w.Header())
			if !ours(r) {
				refuse(w, http.StatusForbidden, "the store answers this machine only, at 127.0.0.1 or localhost")
				return
			}
			if err := handle(w, r); err != nil {
				s.fail(w, r, err)
			}
		})))
	}
	mux.Handle("GET /store", http.RedirectHandler(Path, http.StatusFound))
	for name, file := range assets {
		route("GET "+Path+name, func(w http.ResponseWriter, r *http.Request) error { file.serve(w, r); return nil })
	}
	route("GET "+Path+"shop", s.showShop)
	route("POST "+Path+"session", s.openSession)
	route("POST "+Path+"buy", s.buy)
	route("POST "+Path+"quest", s.quest)
	route("POST "+Path+"switch", s.turnSwitch)
	route("POST "+Path+"repair", func(w http.ResponseWriter, r *http.Request) error { return s.act(w, r, s.repair) })
	route("POST "+Path+"wipe", func(w http.ResponseWriter, r *http.Request) error { return s.act(w, r, s.wipe) })
	route("GET "+Path+"live", s.live)
}

// ours reports whether a request comes from this machine, and was sent to it by one
// of its own names: a page from elsewhere can make a name of its own mean this machine.
func ours(r *http.Request) bool {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopback(from) {
		return false
	}
	to, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		to = r.Host
	}
	return to == "localhost" || loopback(to)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// badRequest is an error that is the caller's.
type badRequest struct{ error }

func badRequestf(format string, args ...any) error { return badRequest{fmt.Errorf(format, args...)} }

func (s *Store) fail(w http.ResponseWriter, r *http.Request, err error) {
	var bad badRequest
	if errors.As(err, &bad) {
		refuse(w, http.StatusBadRequest, bad.Error())
		return
	}
	if r.Context().Err() == nil {
		s.log.WarnContext(r.Context(), "gem store", "route", r.Pattern, "error", err)
	}
	refuse(w, http.StatusBadGateway, err.Error())
}

// act does something that has no answer of its own.
func (s *Store) act(w http.ResponseWriter, r *http.Request, do func(context.Context) error) error {
	if err := do(r.Context()); err != nil {
		return err
	}
	s.tally.forget() // the next look shows what changed
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// wipe deletes the stream.
func (s *Store) wipe(ctx context.Context) error {
	if err := s.stream.Wipe(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wiped = s.now()
	return nil
}
