package main

import (
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// plural counts in words: plural(1, "spend is", "spends are") is "1 spend is".
func plural[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + many
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
