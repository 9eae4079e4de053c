package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"text/tabwriter"
)

// switches are the members of wireFaults, in the order in which people need them.
var switches = []struct{ name, takes, means string }{
	{"down", "true or false", "every connection is cut at once"},
	{"brown_out", "true or false", "every call is answered 503"},
	{"unauthorized", "true or false", "every call is answered 401"},
	{"fail_before", "0 to 1", "share answered 500 or 503, nothing is applied"},
	{"lose_answer", "0 to 1", "share that is applied, and cut off before the answer"},
	{"locked", "0 to 1", "share of the writes answered 423"},
	{"too_many", "0 to 1", "share of the limited calls answered 429"},
	{"replay_conflict", "0 to 1", "share of the repeats of an applied transaction answered 409"},
	{"delay", `such as "50ms"`, "before a call is worked on; it holds its customer meanwhile"},
	{"jitter", `such as "50ms"`, "up to so much more"},
	{"rate_per_minute", "a number", "calls a minute of each limited domain, as RevenueCat's 480; 0 is no limit"},
}

// listControls is GET /control: every switch with its value, and calls to paste.
// It is text, since it is for people; GET /control/faults is for programs.
func (s *Simulator) listControls(w http.ResponseWriter, r *http.Request) {
	var now map[string]json.RawMessage
	raw, err := json.Marshal(s.Faults())
	if err == nil {
		err = json.Unmarshal(raw, &now)
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SWITCH\tNOW\tTAKES\tMEANS")
	for _, one := range switches {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", one.name, now[one.name], one.takes, one.means)
	}
	_ = table.Flush() // a buffer takes everything
	call := func(does, request, path string) {
		fmt.Fprintf(&text, "\n%s:\n  curl -s %shttp://%s/control%s\n", does, request, r.Host, path)
	}
	call("Change some", `-X PATCH -d '{"down":true}' `, "/faults")
	call("Change some, and switch everything else off", `-X PUT -d '{"lose_answer":0.2,"delay":"50ms"}' `, "/faults")
	call("Make a customer, or set balances", `-d '{"balances":{"GEM":1000}}' `, "/customers/player_2")
	call("See a customer's balances, and what was applied", "", "/customers/player_2")
	call("See what was called, and what came of it", "", "/stats")
	call("Forget customers, keys and counters, and return to the switches of the start", "-X POST ", "/reset")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // a reader that went away has nothing to be told
}
