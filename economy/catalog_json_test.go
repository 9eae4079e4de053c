package economy_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

func TestACatalogueSurvivesItsStoredForm(t *testing.T) {
	t.Parallel()
	before := shelf()
	it := before.Items["plain"]
	it.HandOver = economy.HandOver{Port: economy.HandOverRefuse, Reason: "<shown> & kept"}
	it.PlayerLimit = 3
	before.Items["plain"] = it
	it = before.Items["pairs"]
	it.HandOver = economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "guild", Patience: 90 * time.Second}
	before.Items["pairs"] = it
	raw, err := economy.CatalogJSON(before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := economy.CatalogFromJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	after.Version = before.Version // the row's, not the JSON's
	if !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
}

// The stored form is written out: rows of older versions hold it.
func TestTheStoredFormOfACatalogue(t *testing.T) {
	t.Parallel()
	raw, err := economy.CatalogJSON(economy.Catalog{Version: 9, Items: map[string]economy.Item{
		"hat": {ID: "hat", Name: "Hat", Price: economy.Amounts{"GOLD": 2, "GEM": 1}, QuantityMin: 1, QuantityMax: 5,
			AvailableFrom: accepted, HandOver: economy.HandOver{Port: economy.HandOverInventory}},
	}})
	want := `{"items":{"hat":{"name":"Hat","price":{"GEM":1,"GOLD":2},"quantity":{"min":1,"max":5},"player_limit":0,` +
		`"available_from":"2026-01-01T12:00:00Z","paused":false,"hand_over":{"port":"inventory"}}}}`
	if err != nil || string(raw) != want {
		t.Errorf("got  %s, %v\nwant %s", raw, err, want)
	}
}

func TestEqualCataloguesHaveOneFingerprint(t *testing.T) {
	t.Parallel()
	first, err := economy.CatalogFingerprint(shelf())
	if err != nil || len(first) != 64 {
		t.Fatalf("fingerprint %q, %v", first, err)
	}
	same := shelf()
	same.Version = 8
	it := same.Items["window"]
	it.AvailableFrom = it.AvailableFrom.In(time.FixedZone("", 7200))
	same.Items["window"] = it
	if got, _ := economy.CatalogFingerprint(same); got != first {
		t.Error("version or time zone changed the fingerprint")
	}
	it.Price = economy.Amounts{"GEM": 51}
	same.Items["window"] = it
	if got, _ := economy.CatalogFingerprint(same); got == first {
		t.Error("another price has the same fingerprint")
	}
}

func TestAStoredCatalogueThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "{", "[]", `{"items":{}} {}`, `{"items":{"a":{"price":{"GEM":"1"}}}}`, `{"items":{"a":{"price":{"GEM":0.5}}}}`,
		`{"items":{"a":{"bundle":["b"]}}}`, `{"prices":{}}`,
	} {
		if c, err := economy.CatalogFromJSON([]byte(raw)); err == nil {
			t.Errorf("%s: read as %+v", raw, c)
		}
	}
}
