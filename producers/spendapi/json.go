package spendapi

import (
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json takes the last of two members with one name, matches names in any
// case, and turns half a surrogate pair into a replacement character. Where money
// moves, each of these lets one body mean two things. So its validator checks the
// grammar, and the few lines here read the members.

// eachMember calls do with the decoded name and the raw value of every member of
// the JSON object raw, in order, until do returns false. raw must be valid JSON
// that begins with '{'.
func eachMember(raw []byte, do func(name string, value []byte) bool) {
	i := skipSpace(raw, 1)
	for raw[i] != '}' {
		end := skipValue(raw, i)
		name, ok := unquote(raw[i:end])
		if !ok {
			name = "" // half a surrogate pair: no name of ours
		}
		i = skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		end = skipValue(raw, i)
		if !do(name, raw[i:end]) {
			return
		}
		i = skipSpace(raw, end)
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
}

// eachElement calls do with the raw value of every element of the JSON list raw,
// in order, until do returns false. raw must be valid JSON that begins with '['.
func eachElement(raw []byte, do func(value []byte) bool) {
	i := skipSpace(raw, 1)
	for raw[i] != ']' {
		end := skipValue(raw, i)
		if !do(raw[i:end]) {
			return
		}
		i = skipSpace(raw, end)
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns where the value that begins at i ends.
func skipValue(raw []byte, i int) int {
	depth := 0
	for {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++ // only inside an object or a list
		default:
			for i < len(raw) && !delimits(raw[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

func delimits(c byte) bool {
	switch c {
	case ',', ':', ']', '}', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// unquote decodes a valid JSON string with its quotes. It fails for half a
// surrogate pair, which no text can hold.
func unquote(raw []byte) (string, bool) {
	inner := raw[1 : len(raw)-1]
	plain := true
	for _, c := range inner {
		plain = plain && c != '\\'
	}
	if plain {
		return string(inner), true
	}
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			continue
		}
		i++
		switch c := inner[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(inner[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if len(inner) < i+7 || inner[i+1] != '\\' || inner[i+2] != 'u' {
					return "", false
				}
				if r = utf16.DecodeRune(r, hex4(inner[i+3:])); r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // quote, backslash, slash
			out = append(out, c)
		}
	}
	return string(out), true
}

func hex4(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 32) // valid JSON has four hex digits here
	return rune(n)
}

// whySyntax tells where raw stops being JSON.
func whySyntax(raw []byte) error {
	var ignored json.RawMessage
	return json.Unmarshal(raw, &ignored)
}
