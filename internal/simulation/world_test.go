package simulation

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/outbox"
)

// specs are the consumers of the saga, as cmd/sluice lists them.
var specs = []consumers.Spec{adjust.Spec, fulfil.Spec, compensate.Spec}

var (
	subscriptions = consumers.Subscriptions(specs)
	quiet         = slog.New(slog.DiscardHandler)
	metrics       = consumers.NewMetrics(nil)
)

// world is everything a schedule happens in.
type world struct {
	scheduler
	faults     faults
	wrong      mutation
	calm       bool // no fault happens any more
	born       time.Time
	swept      time.Time // when the sweeper last looked
	ids        int
	late       []lateCommit
	panics     int             // how many more the provider's client may have
	onlyParked bool            // the sweeper sees only what falls due, nothing that was lost
	soleWriter bool            // readings may settle what is unknown
	sole       map[string]bool // players whose balances only we move
	count      map[string]int  // what the schedule has met
	operating  bool            // an operator is at work
	db         *database
	rc         *provider
	game       *game
	confirm    bool // the game's yes must be confirmed
	stream     *stream
	workers    []*process
	intake     []request // what players still want to ask for
	handOuts   map[outbox.Delivery]int64
	failure    string
	trace      *strings.Builder // nil: nobody reads it
}

// lateCommit is one whose caller has given up while the database has not.
type lateCommit struct {
	at      time.Time
	effects outbox.Effects
}

func newWorld(seed uint64, f faults, wrong mutation) *world {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &world{
		scheduler: newScheduler(random), faults: f.some(random), wrong: wrong, born: time.Now(), swept: time.Now(),
		panics: 1, handOuts: map[outbox.Delivery]int64{},
		sole: map[string]bool{}, count: map[string]int{},
	}
	w.soleWriter = w.chance(w.faults.SoleWriter)
	w.confirm = w.chance(w.faults.Confirm)
	w.db, w.rc, w.stream, w.game = newDatabase(w), newProvider(w), newStream(w), newGame(w)
	for number := range 1 + min(1, random.IntN(3)) {
		w.workers = append(w.workers, &process{world: w, number: number})
		w.workers[number].start()
	}
	w.plan()
	return w
}

// now is the simulated time, one clock for all.
func (w *world) now() time.Time { return time.Now() }

// chance throws a die for a fault.
func (w *world) chance(p float64) bool { return !w.calm && p > 0 && w.random.Float64() < p }

// met counts what a schedule has come to, for a test that wants all of it.
func (w *world) met(what string) {
	if w.count != nil {
		w.count[what]++
	}
}

// newID makes ids that tell what they are: s1, a7, e12.
func (w *world) newID(prefix string) string {
	w.ids++
	return fmt.Sprintf("%s%d", prefix, w.ids)
}

func (w *world) say(format string, args ...any) {
	if w.trace == nil {
		return
	}
	who := "world"
	if w.current != nil {
		who = w.current.name
	}
	fmt.Fprintf(w.trace, "%10.3fs  %-28s %s\n", w.now().Sub(w.born).Seconds(), who, fmt.Sprintf(format, args...))
}

// broken records a broken promise; the schedule ends there.
func (w *world) broken(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.say("BROKEN: %s", w.failure)
	}
}
