package exports

import (
	"errors"
	"strings"
	"time"
)

// remedyCell is what helps against a cell that is not what its column holds.
const remedyCell = "correct the row, or deliver the export again"

// cells reads the cells of a row. It remembers the first one that is not what its
// column holds, so that the rules read without an if each.
type cells struct {
	t      *table
	failed error
	words  words
	text   []byte // the row's own texts, which become one string
}

func (p *cells) begin(t *table) { p.t, p.failed, p.text = t, nil, p.text[:0] }

// fail keeps why the row is rejected, unless something else is the reason already.
func (p *cells) fail(column int, err error) {
	if err == nil || p.failed != nil {
		return
	}
	var file *FileError
	if errors.As(err, &file) {
		p.failed = err
		return
	}
	p.failed = p.t.reject(column, err, remedyCell)
}

func (p *cells) cell(column int) []byte {
	raw, err := p.t.raw(column)
	p.fail(column, err)
	return raw
}

// mark is where a text lies within the row's texts.
type mark struct{ from, to int }

func (m mark) of(all string) string { return all[m.from:m.to] }

// mark keeps a cell's text.
func (p *cells) mark(column int) mark {
	raw := p.cell(column)
	p.fail(column, checkText(raw))
	from := len(p.text)
	p.text = append(p.text, raw...)
	return mark{from, len(p.text)}
}

// word returns a cell that is one of a few words; each is held once.
func (p *cells) word(column int) string {
	raw := p.cell(column)
	p.fail(column, checkText(raw))
	return p.words.exact(raw)
}

// lower is word without spaces around it and in lower case.
func (p *cells) lower(column int) string {
	raw := p.cell(column)
	p.fail(column, checkText(raw))
	return p.words.lower(raw)
}

// answer is a boolean that may be missing.
type answer byte

const (
	unsaid answer = iota
	no
	yes
)

func (p *cells) bool(column int) answer {
	if !p.t.has(column) {
		return unsaid
	}
	is, err := parseBool(p.cell(column))
	p.fail(column, err)
	if is {
		return yes
	}
	return no
}

func (p *cells) time(column int) time.Time {
	t, err := parseTime(p.cell(column))
	p.fail(column, err)
	return t
}

// price is an amount of money that may be missing.
type price struct {
	micros int64
	told   bool
}

func (p *cells) price(column int) price {
	raw := p.cell(column)
	if len(raw) == 0 {
		return price{}
	}
	micros, err := parseMicros(raw)
	p.fail(column, err)
	return price{micros, true}
}

// whole reports whether all that was paid is still with the seller.
func (gross price) whole(net price) bool {
	return gross.told && net.told && gross.micros == net.micros && gross.micros > 0
}

// lowered reports whether some of it went back.
func (gross price) lowered(net price) bool {
	return gross.told && net.told && net.micros < gross.micros
}

// words holds strings that come again and again: products, stores, currencies.
type words map[string]string

// wordsMax bounds what is held, and wordMax how long such a string is.
const (
	wordsMax = 4096
	wordMax  = 64
)

func (w words) exact(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if known, ok := w[string(raw)]; ok {
		return known
	}
	return w.keep(string(raw), string(raw))
}

func (w words) lower(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	// A key that no cell can be: text holds no NUL.
	var key [wordMax + 1]byte
	if n := copy(key[1:], raw); n == len(raw) {
		if known, ok := w[string(key[:n+1])]; ok {
			return known
		}
		return w.keep(string(key[:n+1]), strings.ToLower(strings.TrimSpace(string(raw))))
	}
	return strings.ToLower(strings.TrimSpace(string(raw)))
}

func (w words) keep(key, word string) string {
	if len(key) <= wordMax+1 && len(w) < wordsMax {
		w[key] = word
	}
	return word
}
