package main

import (
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// plural is monitor.Plural of any whole number.
func plural[N int | int64 | uint64](n N, one, many string) string {
	return monitor.Plural(int64(n), one, many)
}

// words joins what is not empty by one space.
func words(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(word string) bool { return word == "" }), " ")
}

// standing is where a spend stands: its state, and why if there is a reason.
func standing(s economy.Spend) string { return words(string(s.State), string(s.Reason)) }

// commas writes a list as people do.
func commas[T ~string](parts []T) string {
	out := make([]string, len(parts))
	for i, one := range parts {
		out[i] = string(one)
	}
	return strings.Join(out, ", ")
}
