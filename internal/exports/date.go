package exports

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

var datePattern = regexp.MustCompile(`\d{4}-\d{2}-\d{2}`)

// dateOf returns the date of a file: of the folder nearest to it that has one, else
// of its name.
func dateOf(name string) string {
	parts := strings.Split(name, "/")
	for i := len(parts) - 2; i >= 0; i-- {
		if date := dateIn(parts[i]); date != "" {
			return date
		}
	}
	return dateIn(parts[len(parts)-1])
}

func dateIn(part string) string {
	date := datePattern.FindString(part)
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return ""
	}
	return date
}

// gaps finds the days without a folder between the first and the last that have one.
// Exports come every day; one that holds only what is new lacks what a missing day had.
func gaps(files []File) []string {
	dates := map[string]map[string]bool{} // by the folder that holds the folders of dates
	for _, file := range files {
		name := file.URL
		if u, remote := remoteURL(name); remote {
			name = redacted(u)
		}
		for dir := parent(name); dir != ""; dir = parent(dir) {
			base := parent(dir)
			if date := dateIn(strings.TrimPrefix(dir, base)); date != "" {
				if dates[base] == nil {
					dates[base] = map[string]bool{}
				}
				dates[base][date] = true
				break
			}
		}
	}
	var out []string
	for _, base := range slices.Sorted(maps.Keys(dates)) {
		days := slices.Sorted(maps.Keys(dates[base]))
		for i := 1; i < len(days); i++ {
			last, _ := time.Parse(time.DateOnly, days[i-1])
			next, _ := time.Parse(time.DateOnly, days[i])
			missing := int(next.Sub(last)/(24*time.Hour)) - 1
			if missing < 1 {
				continue
			}
			which := next.AddDate(0, 0, -1).Format(time.DateOnly)
			if missing > 1 {
				which = last.AddDate(0, 0, 1).Format(time.DateOnly) + " to " + which
			}
			out = append(out, fmt.Sprintf(
				"%s/ has no folder of %s (days: %d): what only these exports tell is missing, unless a later one is a full one; deliver them again", base, which, missing))
		}
	}
	return out
}

// parent returns the folder of a path or URL; empty: there is none above.
func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}
