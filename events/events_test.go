package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	spendID = "01980000-0000-7000-8000-000000000001"
	player  = "player-42"

	webhookID = "01980000-0000-7000-8000-000000000002"
)

var purchase = economy.PurchaseKey{Store: economy.PlayStore, Environment: economy.Production, TransactionID: "GPA.1-2-3..0"}

var at = time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

// made is one event of every type, by its constructor.
var made = map[events.Type]events.Event{
	events.SpendRequestedV1: events.NewSpendRequested(spendID, player, at),
	events.SpendChargedV1:   events.NewSpendCharged(spendID, player, at),
	events.SpendRefundingV1: events.NewSpendRefunding(spendID, player, at),

	events.StoreWebhookReceivedV1: events.NewStoreWebhookReceived(webhookID, player, at),
	events.StoreCurrencyMovedV1:   events.NewStoreCurrencyMoved(webhookID, player, at),
	events.StorePurchaseChangedV1: events.NewStorePurchaseChanged(events.Bulk, purchase, 3, player, at),
	events.StorePurchaseChangedV2: events.NewStorePurchasesChanged("4311d21b-300b-8f1d-b29c-9d6ae0ad5990", events.Bulk, purchase.Store, purchase.Environment,
		[]events.Version{{TransactionID: "GPA.1-2-3..0", Version: 3}, {TransactionID: "GPA.1-2-3..1", Version: 1}}, false, player, at),
	events.StoreCustomerChangedV1:    events.NewStoreCustomerChanged(events.Store, events.CustomerTransferred, "event-1", player, at),
	events.CustomerResyncRequestedV1: events.NewCustomerResyncRequested(events.Store, events.ResyncTransfer, "event-1", player, at),
}

// golden compares raw with a file of testdata, byte for byte: these bytes lie in
// outbox rows and streams of older versions. A changed file needs a new version
// of the type, not -update.
func golden(t *testing.T, name string, raw []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./events -update writes it", err)
	}
	if string(raw) != strings.TrimSuffix(string(want), "\n") {
		t.Errorf("%s:\ngot  %s\nwant %s", path, raw, want)
	}
}

func TestEveryEventKeepsItsWireForm(t *testing.T) {
	t.Parallel()
	for _, name := range events.Types {
		e, ok := made[name]
		if !ok {
			t.Errorf("%s has no event in this test", name)
			continue
		}
		raw, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, string(name), raw)
		back, err := events.Decode(raw)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s: decoded %+v, %v, want %+v", name, back, err, e)
		}
		if id, err := back.SpendID(); strings.HasPrefix(string(name), "spend.") && (err != nil || id != spendID) {
			t.Errorf("%s: spend %q, %v", name, id, err)
		}
	}
	files, err := filepath.Glob("testdata/*.v*.json")
	if err != nil || len(files) < len(events.Types) {
		t.Errorf("golden files %v, %v: one of each type wanted", files, err)
	}
}

// A trace is one member more, and none when there is no trace.
func TestATracedEventKeepsItsWireForm(t *testing.T) {
	t.Parallel()
	e := made[events.SpendRequestedV1]
	e.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	raw, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "spend.requested.v1.traced", raw)
	if back, err := events.Decode(raw); err != nil || !reflect.DeepEqual(back, e) {
		t.Errorf("decoded %+v, %v, want %+v", back, err, e)
	}
}

func TestTheNoticeKeepsItsWireForm(t *testing.T) {
	t.Parallel()
	notice := events.Notice{Spend: economy.Spend{
		ID: spendID, AppUserID: player, IdempotencyKey: "k1", Item: "extra_life", Quantity: 2,
		Cost: economy.Amounts{"GOLD": 3, "GEM": 100}, CatalogVersion: 7, State: economy.Refunded, Reason: economy.HandOverRefused,
		AdjustmentID: "a1", AcceptedAt: at, ChargedAt: at.Add(time.Second), FinishedAt: at.Add(2 * time.Second), Limited: true,
	}}
	raw, err := json.Marshal(notice)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, events.NoticeSubject, raw)
	var back events.Notice
	if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(back, notice) {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestTheSameFactHasTheSameID(t *testing.T) {
	t.Parallel()
	later := events.NewSpendCharged(spendID, player, at.Add(time.Hour))
	if later.ID != made[events.SpendChargedV1].ID {
		t.Errorf("produced again, the fact is %s", later.ID)
	}
	for name, want := range map[events.Type]string{
		events.SpendRequestedV1: spendID + ".requested", events.SpendChargedV1: spendID + ".charged",
		events.SpendRefundingV1: spendID + ".refunding", "spend.other.v2": spendID + ".spend.other.v2",
	} {
		if got := events.EventID(name, spendID); got != want {
			t.Errorf("%s: id %s, want %s", name, got, want)
		}
	}
}

// The values were computed apart from the code (FNV-1a, 32 bit, modulo 16):
// they must hold for the life of a stream.
func TestAPlayersPartitionNeverChanges(t *testing.T) {
	t.Parallel()
	if events.Partitions != 16 {
		t.Fatalf("%d partitions", events.Partitions)
	}
	for id, want := range map[string]int{
		"": 5, "p1": 10, "ann": 8, "player-42": 1, "$RCAnonymousID:abc": 2, "Ж玩家": 4,
	} {
		if got := events.Partition(id); got != want {
			t.Errorf("%q is in partition %d, want %d", id, got, want)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	if got := events.SubjectOf(events.Bulk, events.SpendChargedV1, 7); got != "sluice.bulk.spend.charged.v1.07" {
		t.Error(got)
	}
	if got := events.Filter(events.Live, events.SpendRequestedV1); got != "sluice.live.spend.requested.v1.*" {
		t.Error(got)
	}
	e := made[events.SpendRequestedV1]
	if got := e.Subject(); got != events.SubjectOf(events.Live, e.Type, events.Partition(player)) {
		t.Error(got)
	}
}

func TestWhatIsNoEventIsMalformed(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"nothing": "", "no json": "{", "a list": "[]", "a word": `"spend"`, "null": "null", "empty": "{}",
		"no id":      `{"type":"t","lane":"live","subject":"p"}`,
		"no type":    `{"id":"i","lane":"live","subject":"p"}`,
		"no lane":    `{"id":"i","type":"t","subject":"p"}`,
		"no subject": `{"id":"i","type":"t","lane":"live"}`,
		"id no text": `{"id":1,"type":"t","lane":"live","subject":"p"}`,
		"no time":    `{"id":"i","type":"t","lane":"live","subject":"p","time":"yesterday"}`,
		"year 10000": `{"id":"i","type":"t","lane":"live","subject":"p","time":"9999-12-31T23:59:59-23:00"}`,
		"more":       `{"id":"i","type":"t","lane":"live","subject":"p"}{}`,
	} {
		if e, err := events.Decode([]byte(raw)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("%s: got %+v, %v, want ErrMalformed", name, e, err)
		}
	}
	for _, data := range []string{"", "null", "{}", "[]", `{"spend_id":7}`, `{"spend_id":""}`, `{"spend_id":`} {
		e := events.Event{ID: "i", Data: json.RawMessage(data)}
		if id, err := e.SpendID(); !errors.Is(err, events.ErrMalformed) || !strings.Contains(err.Error(), "event i") {
			t.Errorf("data %q: got %q, %v, want ErrMalformed of event i", data, id, err)
		}
	}
}

func TestUnknownMembersAndTypesAreLeftToTheConsumer(t *testing.T) {
	t.Parallel()
	e, err := events.Decode([]byte(`{"id":"i","type":"spend.invented.v9","lane":"live","subject":"p","dataschema":"x","data":{"a":1}}`))
	if err != nil || e.Type != "spend.invented.v9" || string(e.Data) != `{"a":1}` {
		t.Errorf("got %+v, %v", e, err)
	}
}

// Spend ids are UUIDs of ours; should one ever not be, the event must still be JSON.
func TestAnySpendIDEncodes(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"\x00", "\a\x7f", `"\`, "<&>", "玩家"} {
		raw, err := events.NewSpendRequested(id, player, at).Encode()
		if err != nil {
			t.Errorf("%q: %v", id, err)
			continue
		}
		e, err := events.Decode(raw)
		if err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if got, err := e.SpendID(); err != nil || got != id {
			t.Errorf("%q: came back as %q, %v", id, got, err)
		}
	}
}

// Whatever Decode accepts, Encode writes, and it reads back the same.
func FuzzDecode(f *testing.F) {
	for _, e := range made {
		raw, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"id":"i","type":"t","lane":"live","subject":"p","time":"9999-12-31T23:59:59-23:00"}`))
	f.Add([]byte(`{"id":"i","type":"t","lane":"live","subject":"p","data":{"spend_id":"<\u2028>"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := events.Decode(raw)
		if err != nil {
			if !errors.Is(err, events.ErrMalformed) {
				t.Fatalf("not ErrMalformed: %v", err)
			}
			return
		}
		_, _ = e.SpendID()
		first, err := e.Encode()
		if err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		back, err := events.Decode(first)
		if err != nil {
			t.Fatalf("encoded but not decoded: %v", err)
		}
		if back.ID != e.ID || back.Type != e.Type || back.AppUserID != e.AppUserID || !back.Time.Equal(e.Time) || back.Subject() != e.Subject() {
			t.Fatalf("came back as %+v, was %+v", back, e)
		}
		if second, err := back.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("encoded twice: %s, %s, %v", first, second, err)
		}
	})
}
