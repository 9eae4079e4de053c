package exports

import "bytes"

// lenient splits one line that breaks the rules as whoever wrote it by hand may have
// meant it, and reports whether that comes to as many cells as the header has:
//
//	"{"$email": {"value": "a"}}"   JSON in quotes, its own quotes as they are
//	{"a": 1, "b": [2]}  {gold,pro} JSON and arrays without quotes
//	Gems\, many  "5\" screen"      a backslash before what would end the cell
//
// Templates 4 and 5 quoted their JSON by hand (RevenueCat docs, change log of template 6).
func (s *csvSource) lenient(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte("\r"))
	s.spans = s.spans[:0]
	for at := 0; ; {
		cell, next := s.lenientCell(line, at)
		if next < 0 || len(s.spans) == len(s.names) {
			return false
		}
		s.spans = append(s.spans, cell)
		if next == len(line) {
			return len(s.spans) == len(s.names)
		}
		at = next + 1
	}
}

// lenientCell returns the cell that begins at a place, and where its delimiter or the
// line's end is; -1: it has none.
func (s *csvSource) lenientCell(line []byte, at int) (span, int) {
	ends := func(i int) bool { return i == len(line) || i < len(line) && line[i] == s.delim }
	rest := line[at:]
	if len(rest) > 1 && rest[0] == '"' && (rest[1] == '{' || rest[1] == '[') {
		if to := at + 1 + balanced(rest[1:]); to > at+1 && to < len(line) && line[to] == '"' && ends(to+1) {
			return span{at + 1, to, quoted}, to + 1
		}
	}
	if len(rest) > 0 && rest[0] == '"' {
		kind := quoted
		for i := at + 1; i < len(line); i++ {
			switch {
			case line[i] == '\\':
				kind = backslashes
				i++
			case line[i] == '"' && ends(i+1):
				return span{at + 1, i, kind}, i + 1
			case line[i] == '"' && i+1 < len(line) && line[i+1] == '"' && kind != backslashes:
				kind = doubled
				i++
			}
		}
		return span{}, -1
	}
	if len(rest) > 0 && (rest[0] == '{' || rest[0] == '[') {
		if to := at + balanced(rest); to > at && ends(to) {
			return span{at, to, quoted}, to
		}
	}
	kind := unquoted
	for i := at; ; i++ {
		switch {
		case ends(i):
			return span{at, i, kind}, i
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == s.delim:
			kind = backslashes
			i++
		}
	}
}

// balanced returns the length of the array or object that text begins with; 0: it
// does not end.
func balanced(text []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
