package purchases

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Stamps are stored apart from the values they stand beside: most of a purchase was
// told by one or two statements, so each stamp is written once, with the short
// names of what it told:
//
//	{"webhook 1735689600000000 1 evt-1": "obptk"}
//
// Source, microseconds since 1970, kind, and what told it.

// encodeStamps returns the stored form.
func encodeStamps(p *economy.Purchase) []byte {
	type told struct {
		stamp *economy.Stamp
		names []byte
	}
	var stamps []told
	var room [4]told
	stamps = room[:0]
	for name, stamp := range p.Stamps() {
		if stamp.IsZero() {
			continue
		}
		at := slices.IndexFunc(stamps, func(t told) bool { return *t.stamp == *stamp })
		if at < 0 {
			at, stamps = len(stamps), append(stamps, told{stamp, make([]byte, 0, 16)})
		}
		stamps[at].names = append(stamps[at].names, name...)
	}
	out := append(make([]byte, 0, 96), '{')
	for i, t := range stamps {
		if i > 0 {
			out = append(out, ',')
		}
		key := append(make([]byte, 0, 64), t.stamp.Source...)
		key = strconv.AppendInt(append(key, ' '), t.stamp.At.UnixMicro(), 10)
		key = strconv.AppendInt(append(key, ' '), int64(t.stamp.Kind), 10)
		key = append(append(key, ' '), t.stamp.By...)
		out = appendJSONText(out, string(key))
		out = append(append(append(out, `:"`...), t.names...), '"')
	}
	return append(out, '}')
}

// decodeStamps puts the stamps back beside the values.
func decodeStamps(raw []byte, p *economy.Purchase) error {
	var told map[string]string
	if err := json.Unmarshal(raw, &told); err != nil {
		return fmt.Errorf("%s: stamps: %w", p.Key, err)
	}
	stamps := map[string]economy.Stamp{}
	for key, names := range told {
		stamp, err := parseStamp(key)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Key, err)
		}
		for _, name := range names {
			stamps[string(name)] = stamp
		}
	}
	for name, stamp := range p.Stamps() {
		*stamp = stamps[name]
		delete(stamps, name)
	}
	if len(stamps) > 0 { // a newer program told something that this one would lose
		return fmt.Errorf("%s: stamps of something unknown: %s", p.Key, raw)
	}
	return nil
}

func parseStamp(key string) (economy.Stamp, error) {
	parts := strings.SplitN(key, " ", 4)
	if len(parts) != 4 {
		return economy.Stamp{}, fmt.Errorf("stamp %q is broken", key)
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return economy.Stamp{}, fmt.Errorf("stamp %q: %w", key, err)
	}
	kind, err := strconv.Atoi(parts[2])
	if err != nil {
		return economy.Stamp{}, fmt.Errorf("stamp %q: %w", key, err)
	}
	return economy.Stamp{Source: economy.Source(parts[0]), At: time.UnixMicro(at).UTC(), Kind: economy.FactKind(kind), By: parts[3]}, nil
}
