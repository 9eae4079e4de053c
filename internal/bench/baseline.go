package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Baseline is what the same PostgreSQL does when nothing but it is asked: durable
// transactions of one row each, by pgbench, which is in C and costs next to nothing.
// It tells how good this machine's disk and CPUs are today.
type Baseline struct {
	program string // pgbench
	url     string
	script  string
	For     time.Duration
	Clients int
}

const (
	baselineDatabase = "baseline"
	// baselinePayload is how many bytes of JSON a row has: as many as an event.
	baselinePayload = 338
)

// NewBaseline makes the table. Errors: pgbench is not there, in words that say how
// to get it.
func NewBaseline(ctx context.Context, s *Site, clients int, d time.Duration) (*Baseline, error) {
	if s.Postgres == nil {
		return nil, errors.New("a baseline needs a private PostgreSQL: leave --url out")
	}
	program, err := devstack.Program(ctx, "pgbench")
	if err != nil {
		return nil, err
	}
	b := &Baseline{program, s.Postgres.URL(baselineDatabase), filepath.Join(s.dir, "baseline.sql"), d, clients}
	if _, err := s.DB.ExecContext(ctx, "CREATE DATABASE "+baselineDatabase); err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: b.url, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // its one statement was answered
	if _, err := db.ExecContext(ctx, "CREATE TABLE baseline (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload jsonb NOT NULL)"); err != nil {
		return nil, err
	}
	frame := `{"x": ""}`
	payload := `{"x": "` + strings.Repeat("x", baselinePayload-len(frame)) + `"}`
	return b, os.WriteFile(b.script, []byte("INSERT INTO baseline (payload) VALUES ('"+payload+"');\n"), 0o600)
}

var tpsPattern = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// Run takes one turn and adds its rate, and those of the load in the same run as a
// multiple of it.
func (b *Baseline) Run(ctx context.Context, figures *Figures) error {
	ctx, cancel := context.WithTimeout(ctx, b.For+startPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.program, "--no-vacuum", "--protocol=prepared", "--file="+b.script,
		"--client="+strconv.Itoa(b.Clients), "--jobs=2", "--time="+strconv.Itoa(max(1, int(b.For.Seconds()))), b.url)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgbench: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	match := tpsPattern.FindSubmatch(said.Bytes())
	if match == nil {
		return fmt.Errorf("pgbench does not say its tps: %s", said.Bytes())
	}
	tps, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil || tps <= 0 {
		return fmt.Errorf("pgbench: %s transactions a second", match[1])
	}
	figures.add(sectionBase, "baseline_tps", "pgbench, one row a transaction, "+strconv.Itoa(b.Clients)+" clients", "1/s", tps)
	return nil
}

// Ratios adds how the load compares with the baseline, run by run; nothing without
// one.
func (f *Figures) Ratios() {
	base := f.Of("baseline_tps")
	if base == nil {
		return
	}
	for _, row := range []struct{ of, key, label string }{
		{"accepted_per_second", "accepted_to_baseline", "accepted : pgbench"},
		{"fulfilled_while_loaded_per_second", "fulfilled_to_baseline", "fulfilled while loaded : pgbench"},
	} {
		rates := f.Of(row.of)
		for i := range min(len(rates.Runs), len(base.Runs)) {
			f.add(sectionBase, row.key, row.label, "x", rates.Runs[i]/base.Runs[i])
		}
	}
}
