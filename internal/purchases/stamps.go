package purchases

import (
	"encoding/json"
	"fmt"
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
func encodeStamps(p economy.Purchase) []byte {
	told := map[string]string{}
	for name, stamp := range p.Stamps() {
		if !stamp.IsZero() {
			key := fmt.Sprintf("%s %d %d %s", stamp.Source, stamp.At.UnixMicro(), stamp.Kind, stamp.By)
			told[key] += name
		}
	}
	return mustJSON(told)
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
