package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What Verify asks for, unless a Trial says otherwise. Each is plainly no player's.
const (
	TestPlayer  = "sluice-test-player"
	TestItem    = "sluice_test_item"    // what the server grants in tests
	TestNoItem  = "sluice_no_such_item" // what no server has
	testIDStart = "test-"
	// testQuantity is how many are asked for: a server that gives one whatever is asked
	// for shows it.
	testQuantity = 2
)

// Trial says whose server Verify tries, and how. URL, Secret and NewID are needed.
type Trial struct {
	URL     string
	Secret  string        // whsec_..., which the server knows
	Item    string        // an item that the server grants; "": TestItem
	Timeout time.Duration // of one request; 0: TimeoutDefault
	NewID   func() string // a new id, never used before
	HTTP    *http.Client  // nil: one of our own
	Now     func() time.Time
}

// Finding is what one check of Verify found.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Saw   string `json:"saw,omitempty"` // when not OK: what the server did
	Do    string `json:"do,omitempty"`  // when not OK: what to change
}

// Verify tries on a server everything that docs/handover.md asks of it. Its spends
// have ids that begin with test-, its requests the member "test": true, so that the
// server may use a player whom it throws away. It makes some seventy requests, and
// stops early when the server cannot be reached. The error says what is wrong with
// the trial itself.
func Verify(ctx context.Context, trial Trial) ([]Finding, error) {
	good, err := parseSecret(trial.Secret)
	if _, urlErr := New(Config{Name: "verify", URL: trial.URL, Secrets: []string{trial.Secret}}); urlErr != nil {
		err = errors.Join(err, urlErr)
	}
	if err != nil {
		return nil, err
	}
	timeout, now := cmp.Or(trial.Timeout, TimeoutDefault), trial.Now
	if now == nil {
		now = time.Now
	}
	t := &tester{
		ctx: ctx, key: good, item: cmp.Or(trial.Item, TestItem), newID: trial.NewID, now: now,
		client: client{url: trial.URL, keys: []key{good}, timeout: timeout, http: newHTTPClient(trial.HTTP, timeout, atOnce), now: now},
	}
	defer t.client.http.CloseIdleConnections()
	var findings []Finding
	for _, check := range checks {
		err := check.try(t)
		finding := Finding{Check: check.name, OK: err == nil}
		if err != nil {
			finding.Saw, finding.Do = err.Error(), check.do
		}
		findings = append(findings, finding)
		if t.reached == 0 {
			return findings, nil
		}
	}
	return findings, nil
}

// tester makes requests as Sluice does, and some as it never would.
type tester struct {
	ctx     context.Context
	key     key
	item    string
	newID   func() string
	now     func() time.Time
	client  client
	reached int // answers of any kind
}

func (t *tester) newSpend() string { return testIDStart + t.newID() }

func (t *tester) request(op Operation, spend string) request {
	return request{
		Operation: op, SpendID: spend, AppUserID: TestPlayer, Item: t.item, Quantity: testQuantity, CatalogVersion: 1,
		ChargedAt: t.now().UTC().Truncate(time.Second), Test: true,
	}
}

// ask makes one good request and returns the outcome.
func (t *tester) ask(op Operation, spend string) Outcome { return t.askFor(t.request(op, spend)) }

func (t *tester) askFor(r request) Outcome {
	got := t.client.send(t.ctx, r)
	if got.status != 0 {
		t.reached++
	}
	return classify(r, got)
}

// want asks, and complains of any other answer.
func (t *tester) want(op Operation, spend string, kinds ...Kind) error {
	return wanted(op, t.ask(op, spend), kinds...)
}

func wanted(op Operation, got Outcome, kinds ...Kind) error {
	for _, kind := range kinds {
		if got.Kind == kind {
			return nil
		}
	}
	if !got.definite() {
		return fmt.Errorf("a %s: %s", op, got.Detail)
	}
	return fmt.Errorf("a %s was answered with %q, not %q", op, got.Kind, kinds[0])
}

// refused posts something that no server may take for a request of Sluice's, and
// complains if it is answered with 200 or has any effect.
func (t *tester) refused(spend string, header http.Header, body []byte) error {
	got := t.client.post(t.ctx, header, body)
	switch {
	case got.status == 0:
		return fmt.Errorf("%s", got.detail)
	case got.status == http.StatusOK:
		return errors.New("it was answered with 200")
	}
	if err := t.want(OpCheck, spend, None); err != nil {
		return fmt.Errorf("it was refused with %d, and then %w", got.status, err)
	}
	return nil
}
