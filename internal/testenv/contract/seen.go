package contract

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-gems/sluice/internal/openapi"
)

// seen is what the tests of this binary saw of what the description promises.
var seen struct {
	sync.Mutex
	names map[string]bool
}

func note(name string) {
	seen.Lock()
	defer seen.Unlock()
	if seen.names == nil {
		seen.names = map[string]bool{}
	}
	seen.names[name] = true
}

// The names of what may be seen.
func statusName(c *call, status int) string { return fmt.Sprintf("%s: %d", c.name, status) }

func problemName(c *call, status int, slug string) string {
	return fmt.Sprintf("%s: %d %s", c.name, status, slug)
}

func exampleName(c *call, status int, example string) string {
	return fmt.Sprintf("%s: %d, example %q", c.name, status, example)
}

func memberName(slug, member string) string {
	return fmt.Sprintf("problem %s: the example of its member %s", slug, member)
}

// exampleMax is more than the longest example: comparing a batch's thousand results
// with it takes long.
const exampleMax = 4 << 10

func remember(d *document, c *call, x Exchange, value any, problems []map[string]any) {
	note(statusName(c, x.Status))
	for _, problem := range problems {
		note(problemName(c, x.Status, slugOf(problem)))
	}
	rememberProblems(d, problems)
	for name, example := range c.answers[x.Status].examples {
		if len(x.Body) <= exampleMax && alike(example, value) {
			note(exampleName(c, x.Status, name))
		}
	}
}

func rememberProblems(d *document, problems []map[string]any) {
	for _, problem := range problems {
		slug := slugOf(problem)
		for member, example := range d.examples[slug] {
			if alike(example, problem[member]) {
				note(memberName(slug, member))
			}
		}
	}
}

func slugOf(problem map[string]any) string {
	return strings.TrimPrefix(problem["type"].(string), openapi.ProblemBase)
}

// What differs from one run to the next.
var (
	ids   = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
)

// alike reports whether two values are the same but for ids and times.
func alike(a, b any) bool {
	text := func(value any) string {
		raw, err := json.Marshal(value)
		must(err)
		return string(times.ReplaceAll(ids.ReplaceAll(raw, []byte("id")), []byte("time")))
	}
	return text(a) == text(b)
}

// RequireSeen ends the test binary with a failure when its tests never saw
// something that the description promises of these calls: a status, one of its
// problems, an example. A problem's own example is promised of the first tag whose
// calls answer with it. A call is given by its name, GET /livez, or with others by
// their tag; a word that is neither is a failure, too. It is for TestMain, after
// the tests. When only some of the tests were run it does nothing.
func RequireSeen(calls ...string) {
	for _, name := range []string{"run", "skip", "fuzz", "list"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != "" {
			return
		}
	}
	if f := flag.Lookup("test.fuzzworker"); f != nil && f.Value.String() == "true" {
		return
	}
	if missing := unseen(calls); len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "openapi.yaml promises what no test has seen:\n  %s\n", strings.Join(missing, "\n  "))
		os.Exit(1)
	}
}

// unseen returns what was promised and not seen.
func unseen(calls []string) []string {
	wanted := map[string]bool{}
	d := load()
	for _, word := range calls {
		known := false
		for _, c := range d.calls {
			if c.tag == word || c.name == word {
				known = true
				d.promises(c, wanted)
			}
		}
		if !known {
			wanted[word+": no call and no tag"] = true
		}
	}
	seen.Lock()
	defer seen.Unlock()
	maps.DeleteFunc(wanted, func(name string, _ bool) bool { return seen.names[name] })
	return slices.Sorted(maps.Keys(wanted))
}

// promises adds what the description promises of a call.
func (d *document) promises(c *call, wanted map[string]bool) {
	for status, a := range c.answers {
		wanted[statusName(c, status)] = true
		for _, slug := range a.problems {
			wanted[problemName(c, status, slug)] = true
			for member := range d.examples[slug] {
				if d.shownBy[slug] == c.tag {
					wanted[memberName(slug, member)] = true
				}
			}
		}
		for name := range a.examples {
			wanted[exampleName(c, status, name)] = true
		}
	}
}
