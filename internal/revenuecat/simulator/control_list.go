package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"
)

// controlSwitch is one thing that the control side switches.
type controlSwitch struct{ name, takes, means string }

// callSwitches are the members of wireFaults, in the order in which people need them.
var callSwitches = []controlSwitch{
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

// webhookSwitches are the members of wireWebhookFaults.
var webhookSwitches = []controlSwitch{
	{"lose", "0 to 1", "share of the events that is never sent"},
	{"duplicate", "0 to 1", "share that is sent again although it was taken"},
	{"reorder", "0 to 1", "share that is sent after the event that follows it"},
	{"delay", `such as "50ms"`, "before the first attempt"},
	{"jitter", `such as "50ms"`, "up to so much more"},
}

// ownWebhook has no more than a purchase needs to be understood.
const ownWebhook = `{"event":{"id":"mine-1","type":"NON_RENEWING_PURCHASE","app_user_id":"player_2","product_id":"premium_lifetime","store":"APP_STORE","environment":"PRODUCTION","transaction_id":"mine-1","event_timestamp_ms":1790000000000,"purchased_at_ms":1790000000000}}`

// listControls is GET /control: every switch with its value, and calls to paste.
// It is text, since it is for people; GET /control/faults is for programs.
func (s *Simulator) listControls(w http.ResponseWriter, r *http.Request) {
	var text bytes.Buffer
	err := errors.Join(
		listSwitches(&text, "CALLS", callSwitches, s.Faults()),
		listSwitches(&text, "WEBHOOKS", webhookSwitches, s.WebhookFaults()),
	)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	call := func(does, request, path string) {
		fmt.Fprintf(&text, "\n%s:\n  curl -s %shttp://%s/control%s\n", does, request, r.Host, path)
	}
	call("Change some of the calls", `-X PATCH -d '{"down":true}' `, "/faults")
	call("Change some, and switch every other off", `-X PUT -d '{"lose_answer":0.2,"delay":"50ms"}' `, "/faults")
	call("Change some of the webhooks", `-X PATCH -d '{"lose":0.5}' `, "/webhooks")
	call("Make a customer, or set balances", `-d '{"balances":{"GEM":1000}}' `, "/customers/player_2")
	call("See a customer's balances, and what was applied", "", "/customers/player_2")
	call("See what is for sale", "", "/products")
	call("Let a customer buy", `-d '{"customer":"player_2","product":"premium_monthly"}' `, "/buy")
	call("Do more with a transaction: renew, cancel, uncancel, billing, expire, refund, unrefund", `-d '{"transaction":"..."}' `, "/refund")
	call("Move what somebody bought, as a restore does", `-d '{"from":"player_2","to":"player_3"}' `, "/transfer")
	call("Make two ids one customer, as a login does", `-d '{"customer":"player_2","alias":"$RCAnonymousID:1"}' `, "/link")
	call("See what became of the newest webhooks", "", "/events")
	call("Send a webhook of your own, proved as RevenueCat's are", `-d '`+ownWebhook+`' `, "/events")
	call("See what was called, and what came of it", "", "/stats")
	call("Forget customers, keys and counters, and return to the switches of the start", "-X POST ", "/reset")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text.Bytes()) // a reader that went away has nothing to be told
}

// listSwitches writes a table of switches with the values that faults has of them.
func listSwitches(text *bytes.Buffer, title string, list []controlSwitch, faults any) error {
	raw, err := json.Marshal(faults)
	if err != nil {
		return err
	}
	var now map[string]json.RawMessage
	if err := json.Unmarshal(raw, &now); err != nil {
		return err
	}
	if text.Len() > 0 {
		text.WriteByte('\n')
	}
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tNOW\tTAKES\tMEANS\n", title)
	for _, one := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", one.name, now[one.name], one.takes, one.means)
	}
	return table.Flush()
}
