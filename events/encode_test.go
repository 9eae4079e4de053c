package events_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/events"
)

// The hand-written encoder says what encoding/json would say.
func TestEncodeIsTheSameAsEncodingJSON(t *testing.T) {
	t.Parallel()
	type envelope struct {
		SpecVersion string          `json:"specversion"`
		ID          string          `json:"id"`
		Source      string          `json:"source"`
		Type        events.Type     `json:"type"`
		Lane        events.Lane     `json:"lane"`
		Subject     string          `json:"subject"`
		Time        time.Time       `json:"time"`
		Traceparent string          `json:"traceparent,omitempty"`
		Data        json.RawMessage `json:"data"`
	}
	for _, text := range []string{"plain", `"quoted"`, `back\slash`, "new\nline", "\x00\x1f\x7f", "<a&b>", "雪 ä \u2028", "\xff bad", ""} {
		event := events.Event{
			ID: text, Type: events.Type(text), Lane: events.Lane(text), AppUserID: text,
			Time: time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("x", 3600)), Data: json.RawMessage(`{"a":[1,null]}`), Traceparent: text,
		}
		want, err := json.Marshal(envelope{"1.0", text, "/sluice", event.Type, event.Lane, text, event.Time.UTC(), text, event.Data})
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Encode()
		if err != nil || string(got) != string(want) {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	if _, err := (events.Event{ID: "x", Data: json.RawMessage(`{`)}).Encode(); err == nil {
		t.Error("data that is not JSON was encoded")
	}
}
