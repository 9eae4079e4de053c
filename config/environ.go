package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const prefix = "SLUICE_"

// kubernetesVariable matches what Kubernetes puts into every container for a
// Service whose name begins with "sluice" (enableServiceLinks).
var kubernetesVariable = regexp.MustCompile(
	`^SLUICE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// CheckEnviron reports every variable of environ, as os.Environ returns it, that
// begins with SLUICE_ and does not exist: a typo would otherwise leave a setting
// at its default without a word. Values are never shown.
func CheckEnviron(environ []string) error {
	known := environmentNames()
	var problems []error
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case !strings.HasPrefix(name, prefix) || slices.Contains(known, name):
		case kubernetesVariable.MatchString(name):
			problems = append(problems, fmt.Errorf("%s is not a variable of sluice; it looks like a service link of Kubernetes: "+
				"set enableServiceLinks: false in the pod", name))
		default:
			problems = append(problems, fmt.Errorf("%s is not a variable of sluice: the nearest known one is %s", name, nearest(name, known)))
		}
	}
	return errors.Join(problems...)
}

// environmentNames lists every variable that Load reads.
func environmentNames() []string {
	var out []string
	for _, v := range table {
		out = append(out, v.Name)
		if v.Secret {
			out = append(out, v.fileName())
		}
	}
	return out
}

// nearest returns the candidate with the fewest edits to name; the first of equals.
func nearest(name string, candidates []string) string {
	best, fewest := "", -1
	for _, candidate := range candidates {
		if n := edits(name, candidate); fewest < 0 || n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// edits is the Levenshtein distance: how many single characters to add, drop or
// change to make b from a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
