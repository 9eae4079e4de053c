package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc/<pid>/stat (proc(5), USER_HZ on Linux).
const clockTick = 10 * time.Millisecond

// processorTime returns what processes, and what they started, took of the processors
// so far: PostgreSQL's part of it, and the rest. Other than in Linux it is zero.
func processorTime(roots ...int) (database, rest time.Duration) {
	type process struct {
		parent int
		name   string
		ticks  int64
	}
	all := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		var pid int
		head, tail, _ := strings.Cut(string(raw), ") ")
		_, _ = fmt.Sscanf(head, "%d", &pid)
		_, name, _ := strings.Cut(head, "(")
		fields := strings.Fields(tail)
		p := process{name: name}
		p.parent, _ = strconv.Atoi(fields[1])
		for _, field := range fields[11:15] { // its own user and system time, and those of children that ended
			ticks, _ := strconv.ParseInt(field, 10, 64)
			p.ticks += ticks
		}
		all[pid] = p
	}
	for pid, p := range all {
		up, known := p, true
		for at := pid; known && !slices.Contains(roots, at); up, known = all[at] {
			at = up.parent
		}
		switch took := time.Duration(p.ticks) * clockTick; {
		case !known:
		case p.name == "postgres":
			database += took
		default:
			rest += took
		}
	}
	return database, rest
}
