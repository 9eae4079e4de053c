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
	CallNotSent  float64 // the provider was not reached
	CallBusy     float64 // 423 or 429
	CallBroken   float64 // 5xx before anything was done
	CallLost     float64 // done, and the answer lost
	CallRefused  float64 // a charge is refused whatever came of earlier attempts: the customer is away for now
	CallPanics   float64 // the client has a mistake
	PublishLost  float64 // the broker never gets the message
	PublishTwice float64 // it gets it twice
	Redelivered  float64 // the broker takes a delivery in hand for lost
	AckLost      float64
	Crash        float64 // a process dies
	Wipe         float64 // the stream is deleted
	TopUp        float64 // a player buys currency
	Hold         float64 // an operator holds a waiting spend back for a while
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

// everything is the mix in which all of it goes wrong, but for mistakes of ours.
var everything = faults{
	ReadFails: 0.03, CommitFails: 0.04, CommitLost: 0.06, CommitLate: 0.04, CommitTwice: 0.06,
	CallNotSent: 0.05, CallBusy: 0.1, CallBroken: 0.1, CallLost: 0.2, CallRefused: 0.05,
	PublishLost: 0.15, PublishTwice: 0.1, Redelivered: 0.02, AckLost: 0.1,
	Crash: 0.02, Wipe: 0.01, TopUp: 0.02, Hold: 0.01, Stall: 0.05,
}
