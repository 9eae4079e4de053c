package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	atOnce   = 8                // requests of Verify at the same time
	races    = 5                // how often a grant and a revoke are sent together
	stale    = 10 * time.Minute // more than the five minutes of Standard Webhooks
	anyThing = "anything"
)

// check is one thing that a server must do.
type check struct {
	name string
	do   string // for its developer, when it does not
	try  func(*tester) error
}

var checks = []check{
	{"a grant gives the item", "answer 200 and {\"spend_id\":…,\"state\":\"granted\"} once the player has as many as quantity says; the test item must be known (--item)", tryGrant},
	{"a repeated grant gives nothing more", "keep the spend_id under a unique key, in the transaction that gives the item", tryRepeat},
	{"many grants at once give one item", "let the database's unique key decide, not a look beforehand; a check answers with \"quantity\": how many the spend gave", tryMany},
	{"a check of an unknown spend says none", "a check changes nothing and answers none for a spend_id never seen", tryNone},
	{"an unknown item is refused for good", "answer 200 and {\"state\":\"refused\",\"reason\":…}: any other status is asked again until patience runs out", tryNoItem},
	{"a refused spend can be revoked", "answer a revoke with revoked whatever the item, and keep the spend_id: a refund follows a refusal, and waits for that answer", tryRefusedThenRevoked},
	{"members you do not know are ignored", "later versions may add members", tryMore},
	{"a revoke takes the item back", "answer revoked, and check revoked from then on; or granted, if the player keeps it", tryRevoke},
	{"a repeated revoke says the same", "the first revoke decides for good", tryRevokeAgain},
	{"a late grant after a revoke is refused", "keep revoked spends: a grant that was under way may arrive long after", tryLateGrant},
	{"a revoke of an unknown spend is remembered", "store the spend_id as revoked although nothing was granted: its grant may still arrive", tryTombstone},
	{"a grant and a revoke at once agree", "decide both in transactions on the same row: what revoke answered must be true afterwards", tryRace},
	{"a request without a signature is refused", "verify webhook-signature before you read the body; answer 401", tryUnsigned},
	{"a signature by another secret is refused", "compare with the HMAC-SHA256 under your own secret, in constant time; answer 401", tryOtherSecret},
	{"a changed body is refused", "sign the body as it arrived, byte for byte, with its id and timestamp; answer 401", tryChanged},
	{"a changed id is refused", "webhook-id is a part of what is signed; answer 401", tryOtherID},
	{"an old request is refused", "refuse a webhook-timestamp more than 5 minutes ago; answer 401", func(t *tester) error { return t.aged(-stale) }},
	{"a request from the future is refused", "refuse a webhook-timestamp more than 5 minutes ahead; answer 401", func(t *tester) error { return t.aged(stale) }},
	{"one good signature among several is enough", "webhook-signature is a list: accept the request if one v1 signature fits", tryRotation},
}

// first returns the first of the problems.
func first(problems ...error) error {
	for _, problem := range problems {
		if problem != nil {
			return problem
		}
	}
	return nil
}

func tryGrant(t *tester) error {
	spend := t.newSpend()
	return first(t.want(OpGrant, spend, Granted), t.holds(spend))
}

func tryRepeat(t *tester) error {
	spend := t.newSpend()
	return first(t.want(OpGrant, spend, Granted), t.want(OpGrant, spend, Granted), t.holds(spend))
}

// holds complains unless a check says granted, and names the quantity.
func (t *tester) holds(spend string) error {
	r := t.request(OpCheck, spend)
	got := t.client.send(t.ctx, r)
	if err := wanted(OpCheck, classify(r, got), Granted); err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(got.body, &a); err != nil || a.Quantity == nil {
		return errors.New("a check was answered without a quantity")
	}
	return nil
}

func tryMany(t *tester) error {
	spend := t.newSpend()
	errs := make([]error, atOnce)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			r := t.request(OpGrant, spend)
			errs[i] = wanted(OpGrant, classify(r, t.client.send(t.ctx, r)), Granted)
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("of %d at once: %w", atOnce, err)
		}
	}
	return t.holds(spend)
}

func tryNone(t *tester) error {
	spend := t.newSpend()
	return first(t.want(OpCheck, spend, None), t.want(OpCheck, spend, None))
}

func tryNoItem(t *tester) error {
	r := t.request(OpGrant, t.newSpend())
	r.Item = TestNoItem
	got := t.askFor(r)
	if err := wanted(OpGrant, got, Refused); err != nil {
		return err
	}
	if got.Reason == "" {
		return errors.New("it was refused without a reason")
	}
	return t.want(OpCheck, r.SpendID, None, Revoked)
}

func tryRefusedThenRevoked(t *tester) error {
	r := t.request(OpGrant, t.newSpend())
	r.Item = TestNoItem
	if err := wanted(OpGrant, t.askFor(r), Refused); err != nil {
		return err
	}
	for _, op := range []Operation{OpRevoke, OpCheck} {
		r.Operation = op
		if err := wanted(op, t.askFor(r), Revoked); err != nil {
			return err
		}
	}
	return nil
}

func tryMore(t *tester) error {
	r := t.request(OpGrant, t.newSpend())
	body := append(bytes.TrimSuffix(r.body(), []byte("}")), `,"something_new":{"a":[1,null]}}`...)
	header := http.Header{}
	sign(header, t.client.keys, r.id(), t.now(), body)
	return wanted(OpGrant, classify(r, t.client.post(t.ctx, header, body)), Granted)
}

func tryRevoke(t *tester) error {
	spend := t.newSpend()
	if err := t.want(OpGrant, spend, Granted); err != nil {
		return err
	}
	said := t.ask(OpRevoke, spend)
	if err := wanted(OpRevoke, said, Revoked, Granted); err != nil {
		return err
	}
	return t.want(OpCheck, spend, said.Kind)
}

func tryRevokeAgain(t *tester) error {
	spend := t.newSpend()
	if err := t.want(OpGrant, spend, Granted); err != nil {
		return err
	}
	said := t.ask(OpRevoke, spend)
	if err := wanted(OpRevoke, said, Revoked, Granted); err != nil {
		return err
	}
	return t.want(OpRevoke, spend, said.Kind)
}

func tryLateGrant(t *tester) error {
	spend := t.newSpend()
	if err := t.want(OpGrant, spend, Granted); err != nil {
		return err
	}
	said := t.ask(OpRevoke, spend)
	return first(wanted(OpRevoke, said, Revoked, Granted), t.want(OpGrant, spend, said.Kind), t.want(OpCheck, spend, said.Kind))
}

func tryTombstone(t *tester) error {
	spend := t.newSpend()
	return first(t.want(OpRevoke, spend, Revoked), t.want(OpRevoke, spend, Revoked),
		t.want(OpGrant, spend, Revoked), t.want(OpCheck, spend, Revoked))
}

func tryRace(t *tester) error {
	for range races {
		spend := t.newSpend()
		said := make(map[Operation]Outcome, 2)
		var mu sync.Mutex
		var group sync.WaitGroup
		for _, op := range []Operation{OpGrant, OpRevoke} {
			group.Go(func() {
				r := t.request(op, spend)
				got := classify(r, t.client.send(t.ctx, r))
				mu.Lock()
				defer mu.Unlock()
				said[op] = got
			})
		}
		group.Wait()
		err := first(wanted(OpGrant, said[OpGrant], Granted, Revoked), wanted(OpRevoke, said[OpRevoke], Revoked, Granted))
		if err == nil {
			err = t.want(OpCheck, spend, said[OpRevoke].Kind)
		}
		if err == nil {
			err = t.want(OpGrant, spend, said[OpRevoke].Kind)
		}
		if err != nil {
			return fmt.Errorf("the revoke was answered with %q, and %w", said[OpRevoke].Kind, err)
		}
	}
	return nil
}
