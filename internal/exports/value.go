package exports

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Reasons why a cell is not what its column holds. None quotes the cell.
var (
	errNotTime   = errors.New("is not a time like 2026-01-31 23:59:59")
	errNotBool   = errors.New("is neither t, f, true nor false")
	errNotNumber = errors.New("is not a whole number")
	errNotPrice  = errors.New("is not a price")
	errNUL       = errors.New("holds a NUL byte, which PostgreSQL cannot store")
	errNotUTF8   = errors.New("is not UTF-8")
)

// checkText says whether a cell can be kept as text.
func checkText(cell []byte) error {
	if bytes.IndexByte(cell, 0) >= 0 {
		return errNUL
	}
	if !utf8.Valid(cell) {
		return errNotUTF8
	}
	return nil
}

// parseBool reads t, f (template 3), true and false (from template 4), in any case.
func parseBool(cell []byte) (bool, error) {
	switch len(cell) {
	case 1:
		switch cell[0] | 0x20 {
		case 't':
			return true, nil
		case 'f':
			return false, nil
		}
	case 4:
		if bytes.EqualFold(cell, []byte("true")) {
			return true, nil
		}
	case 5:
		if bytes.EqualFold(cell, []byte("false")) {
			return false, nil
		}
	}
	return false, errNotBool
}

// parseInt reads a whole number; a fraction of zeros is none (Parquet has decimals).
func parseInt(cell []byte) (int64, error) {
	if whole, fraction, ok := bytes.Cut(cell, []byte(".")); ok && len(bytes.Trim(fraction, "0")) == 0 {
		cell = whole
	}
	if len(cell) > 20 {
		return 0, errNotNumber
	}
	n, err := strconv.ParseInt(string(cell), 10, 64)
	if err != nil {
		return 0, errNotNumber
	}
	return n, nil
}

// parseTime reads a time in UTC. The export's own form, with or without a fraction,
// takes no detour; a zone or a T may be there, too. The empty cell is no time.
func parseTime(cell []byte) (time.Time, error) {
	if len(cell) == 0 {
		return time.Time{}, nil
	}
	if t, ok := parsePlainTime(cell); ok {
		return t, nil
	}
	if len(cell) > 40 {
		return time.Time{}, errNotTime
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 Z0700",
		"2006-01-02 15:04:05.999999999 UTC", "2006-01-02 15:04:05.999999999-07",
	} {
		if t, err := time.Parse(layout, string(cell)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errNotTime
}

// parsePlainTime reads 2006-01-02 15:04:05 and up to nine digits of a fraction.
func parsePlainTime(b []byte) (time.Time, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	bad := false
	two := func(at int) int {
		tens, units := b[at]-'0', b[at+1]-'0'
		bad = bad || tens > 9 || units > 9
		return int(tens)*10 + int(units)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	nanos := 0
	if len(b) > 19 {
		if b[19] != '.' || len(b) == 20 || len(b) > 29 {
			return time.Time{}, false
		}
		scale := 1_000_000_000
		for _, c := range b[20:] {
			bad = bad || c < '0' || c > '9'
			scale /= 10
			nanos += int(c-'0') * scale
		}
	}
	if bad || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	return t, t.Day() == day // 31 February is none
}

// parseMillis reads a time in milliseconds since 1970, as customer lists have it, or
// as parseTime does.
func parseMillis(cell []byte) (time.Time, error) {
	if len(cell) > 0 && len(bytes.TrimLeft(cell, "0123456789.")) == 0 {
		ms, err := parseInt(cell)
		if err != nil || ms > math.MaxInt64/1_000_000 {
			return time.Time{}, errNotTime
		}
		return time.UnixMilli(ms).UTC(), nil
	}
	return parseTime(cell)
}

// priceMax bounds a price, in units of any currency: far above what a store sells
// for in the smallest currency, and its millionths fit an int64.
const priceMax = 9_000_000_000_000

// parseMicros reads a decimal number in millionths, rounded half away from zero. It
// never goes through a float: 9.99 is 9,990,000.
func parseMicros(cell []byte) (int64, error) {
	digits := cell
	negative := len(digits) > 0 && digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	var n int64
	whole := 0
	for whole < len(digits) && digits[whole] >= '0' && digits[whole] <= '9' && whole <= 13 {
		n = n*10 + int64(digits[whole]-'0')
		whole++
	}
	rest := digits[whole:]
	if len(rest) > 0 && rest[0] == '.' {
		rest = rest[1:]
	} else if len(rest) > 0 {
		return exactMicros(cell)
	}
	if whole == 0 && len(rest) == 0 {
		return 0, errNotPrice
	}
	up := false
	scale := int64(1_000_000)
	n *= scale
	for i, c := range rest {
		if c < '0' || c > '9' || i > 40 {
			return exactMicros(cell)
		}
		scale /= 10
		n += int64(c-'0') * scale
		up = up || i == 6 && c >= '5'
	}
	if up {
		n++
	}
	if n > priceMax*1_000_000 {
		return 0, errNotPrice
	}
	if negative {
		n = -n
	}
	return n, nil
}

// exactMicros reads what parseMicros does not, such as 1.199e+01.
func exactMicros(cell []byte) (int64, error) {
	if len(cell) > 40 || len(bytes.TrimLeft(cell, "+-.0123456789eE")) > 0 {
		return 0, errNotPrice
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(string(cell)), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 2 {
		return 0, errNotPrice
	}
	r, ok := new(big.Rat).SetString(string(cell))
	if !ok || new(big.Rat).Abs(r).Cmp(big.NewRat(priceMax, 1)) > 0 {
		return 0, errNotPrice
	}
	var scaled big.Int
	if _, ok := scaled.SetString(r.Mul(r, big.NewRat(1_000_000, 1)).FloatString(0), 10); !ok {
		return 0, errNotPrice
	}
	return scaled.Int64(), nil
}

// parseList reads {a,"b"}, ["a","b"] and a,b: arrays of templates 3, from 4, and
// lists without brackets. Empty members are left out.
func parseList(cell []byte) []string {
	text := strings.TrimSpace(string(cell))
	if n := len(text); n >= 2 && (text[0] == '{' && text[n-1] == '}' || text[0] == '[' && text[n-1] == ']') {
		text = text[1 : n-1]
	}
	var out []string
	for text != "" {
		var member string
		text = strings.TrimLeft(text, " ,")
		if quoted, err := strconv.QuotedPrefix(text); err == nil && quoted[0] == '"' {
			member, _ = strconv.Unquote(quoted)
			text = text[len(quoted):]
		} else {
			member, text, _ = strings.Cut(text, ",")
			member = strings.Trim(member, ` "`)
		}
		if member != "" && !strings.EqualFold(member, "null") {
			out = append(out, member)
		}
	}
	return out
}
