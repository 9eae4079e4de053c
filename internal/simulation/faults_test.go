package simulation

import (
	"math/rand/v2"
	"reflect"
)

// faults are the chances of what goes wrong, each from 0 to 1 and per occasion.
type faults struct {
	ReadFails    float64 // the database does not answer a read
	CommitFails  float64 // nothing was committed, the caller hears that it is not known
	CommitLost   float64 // committed; the caller hears that it is not known
	CommitLate   float64 // committed within three seconds after the caller gave up
	CommitTwice  float64 // the committer lost the answer and tries again by itself
	CallHeld     float64 // the budget lets no call start
	CallNotSent  float64 // the provider was not reached
	CallBusy     float64 // 423 or 429
	CallBroken   float64 // 5xx before anything was done
	CallLost     float64 // done, and the answer lost
	CallStuck    float64 // and when an answer was lost: the key is answered 409 from then on
	CallSeen     float64 // a repeated key is answered 409, this time
	CallRefused  float64 // a charge is refused whatever came of earlier attempts: the customer is away for now
	CallPanics   float64 // the client has a mistake
	GameAway     float64 // the game's server was not reached
	GameBroken   float64 // 503
	GameLost     float64 // done, and the answer lost
	GameLate     float64 // its caller gives up, and it arrives at any time after that
	GameRefuses  float64 // a grant is refused for good
	GameKeeps    float64 // what was granted is not taken back
	GameHollow   float64 // it says yes and does nothing; only where its yes must be confirmed
	Confirm      float64 // per schedule: its yes must be confirmed
	PublishLost  float64 // the broker never gets the message
	PublishTwice float64 // it gets it twice
	Redelivered  float64 // the broker takes a delivery in hand for lost
	AckLost      float64
	Crash        float64 // a process dies
	Wipe         float64 // the stream is deleted
	TopUp        float64 // a player buys currency
	TakenBack    float64 // the provider takes currency away
	Mirror       float64 // the copy of a player's balances is refreshed
	SoleWriter   float64 // per schedule: readings settle what players whose balances only we move are charged
	Operator     float64 // an operator settles something unknown, as it is
	Lull         float64 // minutes pass
	Hold         float64 // an operator holds a waiting spend back for a while
	Cancel       float64 // an operator cancels a spend that is not charged yet
	Refund       float64 // an operator takes a fulfilled spend back
	GiveUp       float64 // an operator lets a refund be
	Stall        float64 // everything in hand stands still for seconds

	all bool // all of them in every schedule
}

// some returns the faults with about half of them left out: what never happens
// in a schedule gives others room to happen long.
func (f faults) some(random *rand.Rand) faults {
	list := reflect.ValueOf(&f).Elem()
	for i := range list.NumField() {
		if field := list.Field(i); field.Kind() == reflect.Float64 && !f.all && random.IntN(2) == 0 {
			field.SetFloat(0)
		}
	}
	return f
}

// Mixes for promises about what we do not know.
var (
	staleKnowledge = faults{
		TakenBack: 0.06, TopUp: 0.04, Mirror: 0.05, CallLost: 0.1, CallNotSent: 0.05, CallBusy: 0.05, CallHeld: 0.1, CommitLate: 0.1, CommitLost: 0.1,
		Crash: 0.03, Stall: 0.1, PublishTwice: 0.2, Redelivered: 0.03, Hold: 0.02,
	}
	stuckKeys = faults{
		CallLost: 0.3, CallBroken: 0.2, CallStuck: 0.6, CallSeen: 0.3, CallRefused: 0.05, CallNotSent: 0.1, TopUp: 0.03, TakenBack: 0.03,
		Operator: 0.03, Lull: 0.04, Crash: 0.02, CommitLost: 0.1, CommitLate: 0.1, CommitFails: 0.05, PublishLost: 0.1, Stall: 0.05, Mirror: 0.03,
	}
	readings = faults{
		CallLost: 0.4, CallBroken: 0.2, CallStuck: 0.6, CallSeen: 0.3, CallNotSent: 0.2, Mirror: 0.06, SoleWriter: 1, TopUp: 0.06, TakenBack: 0.03,
		Operator: 0.02, Lull: 0.04, Stall: 0.1, Crash: 0.03, CommitLate: 0.1, CommitLost: 0.1, PublishTwice: 0.2, all: true,
	}
)

// everything is the mix in which all of it goes wrong, but for mistakes of ours.
var everything = faults{
	ReadFails: 0.03, CommitFails: 0.04, CommitLost: 0.06, CommitLate: 0.04, CommitTwice: 0.06,
	CallHeld: 0.1, CallNotSent: 0.05, CallBusy: 0.1, CallBroken: 0.1, CallLost: 0.2, CallRefused: 0.05,
	PublishLost: 0.15, PublishTwice: 0.1, Redelivered: 0.02, AckLost: 0.1,
	Crash: 0.02, Wipe: 0.01, TopUp: 0.02, Hold: 0.01, Stall: 0.05, Cancel: 0.01, Refund: 0.01, GiveUp: 0.01,
	CallStuck: 0.2, CallSeen: 0.2, TakenBack: 0.02, Mirror: 0.02, SoleWriter: 0.5, Operator: 0.01, Lull: 0.01,
	GameAway: 0.1, GameBroken: 0.1, GameLost: 0.2, GameLate: 0.1, GameRefuses: 0.1, GameKeeps: 0.2, GameHollow: 0.2, Confirm: 0.5,
}

// handOvers is the mix for items of the game's own server: everything about it goes
// wrong, for longer than patience lasts.
var handOvers = faults{
	GameAway: 0.3, GameBroken: 0.2, GameLost: 0.4, GameLate: 0.4, GameRefuses: 0.2, GameKeeps: 0.3, GameHollow: 0.4, Confirm: 0.5,
	Crash: 0.03, CommitLost: 0.1, CommitLate: 0.1, CommitFails: 0.05, CommitTwice: 0.1, PublishTwice: 0.3, Redelivered: 0.05, PublishLost: 0.1,
	CallLost: 0.1, Stall: 0.1, Lull: 0.03,
}
