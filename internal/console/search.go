package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-gems/sluice/economy"
)

// How a search stays fast in any number of spends, with the indexes there are:
//
//   - ids are UUIDv7, so the primary key is the order of acceptance: "newest first",
//     "before this one" and every range of time are ranges of it;
//   - a player's spends are found by the unique key (player, idempotency key), open
//     ones and those that need somebody by the partial indexes that workers use;
//   - everything else, such as an item or a finished state, is looked for among
//     scanMax spends at a time, newest first. The page says how far back it looked
//     and goes on from there.
const (
	pageSize = 50
	scanMax  = 50_000
	// listedMax bounds what is sorted of a partial index; with more open spends than
	// this, those of the newest scanMax are shown.
	listedMax = 20_000
)

// search is what spends are looked for by. Empty fields ask for nothing.
type search struct {
	ID, Player, Key, Item, State string
	From, To                     time.Time
	Before                       string // the last id of the page before this one
}

// The words that a search by state knows beside the states.
const (
	stateOpen      = "open"      // not finished
	stateAttention = "attention" // of unknown outcome, marked for an operator, or held
)

// found is one page of a search.
type found struct {
	Spends []economy.Spend
	Next   string    // where the next page begins; empty: this was all
	Looked time.Time // how far back spends were looked at; zero: all there are
}

// parseSearch reads a search from an address.
func parseSearch(q *request) (search, error) {
	s := search{
		ID: q.param("id"), Player: q.param("player"), Key: q.param("key"), Item: q.param("item"), State: q.param("state"), Before: q.param("before"),
	}
	for _, id := range []string{s.ID, s.Before} {
		if id != "" && uuid.Validate(id) != nil {
			return s, bad("A spend's id looks like 01a2b3c4-….; %q does not.", mask(id))
		}
	}
	if s.State != "" && s.State != stateOpen && s.State != stateAttention && !validState(s.State) {
		return s, bad("There is no state %q.", s.State)
	}
	for name, into := range map[string]*time.Time{"from": &s.From, "to": &s.To} {
		text := strings.TrimSuffix(strings.Replace(q.param(name), " ", "T", 1), "Z")
		if text == "" {
			continue
		}
		at, err := parseUTC(text)
		if err != nil {
			return s, bad("%q is not a time: write 2026-11-22T20:00, in UTC.", q.param(name))
		}
		*into = at
	}
	return s, nil
}

func parseUTC(text string) (at time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

func validState(state string) bool {
	for _, known := range economy.States {
		if string(known) == state {
			return true
		}
	}
	return false
}

// firstID is the smallest id that a spend accepted at a moment can have.
func firstID(at time.Time) string {
	ms := uint64(max(0, at.UnixMilli())) & (1<<48 - 1)
	hex := fmt.Sprintf("%012x", ms)
	return hex[:8] + "-" + hex[8:] + "-0000-0000-000000000000"
}

// timeOf is when a UUIDv7 was made, to the millisecond.
func timeOf(id string) time.Time {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}
	}
	var ms int64
	for _, b := range parsed[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}
