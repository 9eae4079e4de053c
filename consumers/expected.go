package consumers

import "errors"

// expected reports whether an attempt ended in a wait that is as it should be: nothing
// failed, it is only too early. Nobody has to look at it, however often it is said.
func expected(err error) bool {
	var early interface{ Expected() bool }
	var sentAway interface{ NotTried() bool }
	return errors.As(err, &early) && early.Expected() || errors.As(err, &sentAway) && sentAway.NotTried()
}
