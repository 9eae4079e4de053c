package spendapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWhatABodySays(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]spendBody{
		`{"item":"a"}`: {"a", 1, "", false},
		" \r\n\t{ \"item\" : \"a\" , \"quantity\" : 3 , \"idempotencyKey\" : \"k\" } \n":                             {"a", 3, "k", true}, //nolint:gocritic // the white space is the case
		`{"item":"a","price":1,"cost":{"item":["x",{"quantity":2}],"y":"\"}{\\"},"player":null,"idempotencyKey":""}`: {"a", 1, "", true},
		`{"x":1,"x":2,"item":"a"}`:                                              {"a", 1, "", false}, // unknown members are ignored, twice too
		`{"Item":"no","ITEM":"no","item":"a","\ud800":1}`:                       {"a", 1, "", false}, // names have a case
		`{"\u0069tem":"\u00e4\ud83d\ude00\n\/","quantity":9223372036854775807}`: {"ä😀\n/", 9223372036854775807, "", false},
	} {
		got, p := parseSpendBody([]byte(raw))
		require.Nil(t, p, raw)
		require.Equal(t, want, got, raw)
	}
}

func TestWhatABodyMayNotSay(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]*ProblemType{
		"": MalformedRequest, " ": MalformedRequest, "null": MalformedRequest, "[]": MalformedRequest, `"item"`: MalformedRequest, "1": MalformedRequest,
		"{": MalformedRequest, `{"item":"a"`: MalformedRequest, `{"item":"a"}}`: MalformedRequest, `{"item":"a"}{}`: MalformedRequest, `{"item":"a"} x`: MalformedRequest,
		`{"item":"a",}`: MalformedRequest, `{item:"a"}`: MalformedRequest, `{'item':'a'}`: MalformedRequest, "\ufeff" + `{"item":"a"}`: MalformedRequest,
		`{"item":"a"}` + "\u00a0": MalformedRequest, "{\"item\":\"\xff\"}": MalformedRequest, "{\"item\":\"a\nb\"}": MalformedRequest,
		`{}`: MalformedRequest, `{"item":""}`: MalformedRequest, `{"item":null}`: MalformedRequest, `{"item":1}`: MalformedRequest, `{"item":["a"]}`: MalformedRequest,
		`{"item":"a","item":"a"}`: MalformedRequest, `{"item":"a","\u0069tem":"a"}`: MalformedRequest, `{"item":"\ud800"}`: MalformedRequest, `{"item":"\ude00\ud83d"}`: MalformedRequest,
		`{"item":"a","quantity":null}`: BadQuantity, `{"item":"a","quantity":"1"}`: BadQuantity, `{"item":"a","quantity":1.0}`: BadQuantity,
		`{"item":"a","quantity":1e1}`: BadQuantity, `{"item":"a","quantity":true}`: BadQuantity, `{"item":"a","quantity":[1]}`: BadQuantity,
		`{"item":"a","quantity":0}`: BadQuantity, `{"item":"a","quantity":-0}`: BadQuantity, `{"item":"a","quantity":-1}`: BadQuantity,
		`{"item":"a","quantity":9223372036854775808}`: BadQuantity, `{"item":"a","quantity":1,"quantity":1}`: BadQuantity,
		`{"item":"a","idempotencyKey":null}`: BadIdempotencyKey, `{"item":"a","idempotencyKey":1}`: BadIdempotencyKey,
		`{"item":"a","idempotencyKey":"\udfff"}`: BadIdempotencyKey, `{"item":"a","idempotencyKey":"k","idempotencyKey":"k"}`: BadIdempotencyKey,
		strings.Repeat("[", 20_000): MalformedRequest,
	} {
		_, p := parseSpendBody([]byte(raw))
		require.NotNil(t, p, raw)
		require.Equal(t, want, p.kind, raw)
		require.NotEmpty(t, p.detail, raw)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const refused = "\x00refused"
	for _, c := range []struct {
		name    string
		header  []string
		body    string
		hasBody bool
		want    string
	}{
		{"body", nil, "k", true, "k"},
		{"bare", []string{"k"}, "", false, "k"},
		{"bare with spaces inside", []string{" a b\t"}, "", false, "a b"},
		{"quoted", []string{`"k"`}, "", false, "k"},
		{"quoted with escapes", []string{`"a\"b\\c"`}, "", false, `a"b\c`},
		{"bare with a quote inside", []string{`a"b`}, "", false, `a"b`},
		{"both the same", []string{`"k"`}, "k", true, "k"},
		{"255 characters", nil, strings.Repeat("é", 255), true, strings.Repeat("é", 255)},
		{"256 characters", nil, strings.Repeat("é", 256), true, refused},
		{"none", nil, "", false, refused},
		{"empty in the body", nil, "", true, refused},
		{"empty in the header", []string{""}, "", false, refused},
		{"empty quoted", []string{`""`}, "", false, refused},
		{"both and different", []string{"a"}, "b", true, refused},
		{"both and the header empty", []string{""}, "b", true, refused},
		{"header twice", []string{"k", "k"}, "", false, refused},
		{"no closing quote", []string{`"k`}, "", false, refused},
		{"only a quote", []string{`"`}, "", false, refused},
		{"closing quote escaped", []string{`"k\"`}, "", false, refused},
		{"another escape", []string{`"\k"`}, "", false, refused},
		{"more behind it", []string{`"k"; a=1`}, "", false, refused},
		{"NUL", nil, "a\x00", true, refused},
		{"line feed", nil, "a\nb", true, refused},
		{"C1 control", nil, "a\u0085", true, refused},
		{"not UTF-8", []string{"a\xff"}, "", false, refused},
	} {
		got, p := chooseKey(c.header, keyMember, c.body, c.hasBody)
		if c.want == refused {
			require.NotNil(t, p, c.name)
			require.Equal(t, BadIdempotencyKey, p.kind, c.name)
			continue
		}
		require.Nil(t, p, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values   []string
		patience time.Duration
		applied  string
	}{
		{nil, 10 * time.Second, ""},
		{[]string{"wait=5"}, 5 * time.Second, "wait=5"},
		{[]string{"wait=0"}, 0, "wait=0"},
		{[]string{"wait=31"}, 30 * time.Second, "wait=30"},
		{[]string{"WAIT = \"7\" ; x=1 , foo=\"a,wait=3\""}, 7 * time.Second, "wait=7"},
		{[]string{"respond-async"}, 0, "respond-async"},
		{[]string{"respond-async, wait=3"}, 3 * time.Second, "respond-async, wait=3"},
		{[]string{"handling=lenient", "wait=3"}, 3 * time.Second, "wait=3"},
		{[]string{"wait=3, wait=4"}, 3 * time.Second, "wait=3"},
		{[]string{"wait=99999999999999999999999"}, 30 * time.Second, "wait=30"},
		{[]string{"wait=-1"}, 10 * time.Second, ""},
		{[]string{"wait=x, wait=4"}, 10 * time.Second, ""}, // the first counts
		{[]string{"wait"}, 10 * time.Second, ""},
		{[]string{"wait=1.5"}, 10 * time.Second, ""},
		{[]string{`wait="`}, 10 * time.Second, ""},
		{[]string{`a="\`, ",;=,"}, 10 * time.Second, ""},
	} {
		p := parsePrefer(c.values)
		require.Equal(t, c.patience, p.patience(), c.values)
		require.Equal(t, c.applied, p.applied(), c.values)
	}
}

// Whatever is accepted is what encoding/json reads too, and never ambiguous.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"item":"a","quantity":2,"idempotencyKey":"k"}`, `{"a":{"b":[1,"]}",{}]},"item":"\ud83d\ude00"}`, `{"item":"a","item":"b"}`, `{"":"","item":"x"}`,
		`[{}]`, ` { "item" : "a" , "quantity" : -1 } `, `{"item":"\\\"","x":1e5}`, "{\"item\":\"\xff\"}", `{"item":"\ud800a"}`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, p := parseSpendBody(bytes.Clone(raw))
		if p != nil {
			if p.kind.Status != 400 || p.detail == "" {
				t.Fatalf("%q: %+v", raw, p)
			}
			return
		}
		var members map[string]json.RawMessage // exact names, unlike a struct
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatalf("%q was accepted: %v", raw, err)
		}
		var item, key string
		quantity := int64(1)
		if err := json.Unmarshal(members["item"], &item); err != nil || item != body.item {
			t.Fatalf("%q: item %q, encoding/json says %q, %v", raw, body.item, item, err)
		}
		if value, ok := members["quantity"]; ok {
			if err := json.Unmarshal(value, &quantity); err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
		}
		if value, ok := members["idempotencyKey"]; ok != body.hasKey || ok && (json.Unmarshal(value, &key) != nil || key != body.key) {
			t.Fatalf("%q: key %q, encoding/json says %q", raw, body.key, key)
		}
		if quantity != body.quantity || quantity < 1 {
			t.Fatalf("%q: quantity %d, encoding/json says %d", raw, body.quantity, quantity)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(`"k"`, "respond-async, wait=10")
	f.Add(`k`, `wait="5"; a, b="\"`)
	f.Add("\"\\", ",;=\"")
	f.Fuzz(func(t *testing.T, key, prefer string) {
		if got, p := chooseKey([]string{key}, keyMember, "", false); p == nil {
			if n := utf8.RuneCountInString(got); n < 1 || n > keyMax || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r") {
				t.Fatalf("%q gave the key %q", key, got)
			}
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(got) + `"`
			if again, p := chooseKey([]string{quoted}, keyMember, got, true); p != nil || again != got {
				t.Fatalf("%q is %q bare and %q quoted", key, got, again)
			}
		}
		p := parsePrefer([]string{prefer, prefer})
		if p.wait < 0 || p.wait > waitMax || (p.wait != 0 && !p.hasWait) {
			t.Fatalf("%q: %+v", prefer, p)
		}
		if again := parsePrefer([]string{p.applied()}); again != p {
			t.Fatalf("%q: applied %q reads as %+v, was %+v", prefer, p.applied(), again, p)
		}
	})
}
