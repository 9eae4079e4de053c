package events

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// What the short way understands, encoding/json understands the same; and it
// understands every event of plain text.
func FuzzDecodeOurs(f *testing.F) {
	event := Event{
		ID: "a.requested", Type: SpendRequestedV1, Lane: Live, AppUserID: "player-42", Time: time.Date(2026, 1, 2, 3, 4, 5, 600000, time.UTC),
		Data: json.RawMessage(`{"spend_id":"a"}`),
	}
	for _, e := range []Event{event, {ID: "b", Type: "t", Lane: "l", AppUserID: "p q", Traceparent: "00-1-2-01", Data: json.RawMessage(` [1, {"a":"}"}] `)}} {
		raw, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		if _, ok := decodeOurs(raw); !ok {
			f.Fatalf("not understood: %s", raw)
		}
		f.Add(string(raw))
		f.Add(string(raw[:len(raw)-1]) + `,"id":"another"}`)
		f.Add(string(raw[:len(raw)-1]) + `,"data":{}}`)
		f.Add(string(raw) + " ")
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := decodeOurs([]byte(raw))
		if !ok {
			return
		}
		var want envelope
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		want.SpecVersion, want.Source = "", ""
		if !got.Time.Equal(want.Time) {
			t.Fatalf("%s: %s, want %s", raw, got.Time, want.Time)
		}
		got.Time, want.Time = time.Time{}, time.Time{}
		var g, w any
		if json.Unmarshal(got.Data, &g) != nil || json.Unmarshal(want.Data, &w) != nil || !reflect.DeepEqual(g, w) {
			t.Fatalf("%s: data %s, want %s", raw, got.Data, want.Data)
		}
		got.Data, want.Data = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}
