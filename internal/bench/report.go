package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is what a measurement has shown.
type Report struct {
	Title    string   `json:"title"`
	Machine  string   `json:"machine"`
	Database string   `json:"database,omitempty"`
	Figures  Figures  `json:"figures"`
	Trends   []Trend  `json:"trends,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Verified []string `json:"verified"` // what was checked
	Wrong    []string `json:"wrong"`    // what is not right; empty: the books are
	Missed   []string `json:"missed"`   // what the service did not do that it should; empty: it did
}

// Err is an error when the books are wrong, the service did not do what it should, or
// something grows that must not.
func (r Report) Err() error {
	var errs []error
	if len(r.Wrong) > 0 {
		errs = append(errs, fmt.Errorf("the books are wrong: %d of %d checks failed, see the report", len(r.Wrong), len(r.Verified)))
	}
	for _, missed := range r.Missed {
		errs = append(errs, errors.New(missed))
	}
	for _, t := range r.Trends {
		if t.Growing {
			errs = append(errs, fmt.Errorf("%s grows: by %s an hour, more than %s", t.What, number(t.PerHour), number(t.Limit)))
		}
	}
	return errors.Join(errs...)
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n%s\n", r.Title, r.Machine)
	if r.Database != "" {
		fmt.Fprintln(&out, r.Database)
	}
	for _, table := range append(r.Figures.tables(), trendsTable(r.Trends)) {
		table.text(&out)
	}
	if len(r.Figures.inSection(sectionLatency)) > 0 {
		fmt.Fprintln(&out, "\n* of the players of one partition of sixteen")
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(&out)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(&out, "note:", note)
	}
	fmt.Fprintln(&out)
	for _, missed := range r.Missed {
		fmt.Fprintln(&out, "NOT SO:", missed)
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintln(&out, wrong)
	}
	if len(r.Wrong) == 0 {
		fmt.Fprintln(&out, "verified:", strings.Join(r.Verified, ";\n  "))
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (f Figures) inSection(section string) (rows Figures) {
	for _, figure := range f {
		if figure.section == section {
			rows = append(rows, figure)
		}
	}
	return rows
}

// tables shows the figures, a table for every section.
func (f Figures) tables() (list []table) {
	for _, section := range []string{sectionRates, sectionLatency, sectionCost, sectionShares, sectionCommits, sectionBase} {
		rows := f.inSection(section)
		switch {
		case len(rows) == 0:
		case section == sectionLatency:
			list = append(list, rows.latencyTable())
		default:
			shown := table{{section, "median", "min", "max", ""}}
			for _, row := range rows {
				shown = append(shown, []string{row.label, number(row.Median), number(row.Min), number(row.Max), row.Unit})
			}
			list = append(list, shown)
		}
	}
	return list
}

// latencyTable has one line per hop.
func (f Figures) latencyTable() table {
	head := []string{"latency, ms"}
	for _, quantile := range quantiles {
		head = append(head, strings.Replace(quantile.name, "p999", "p99.9", 1))
	}
	shown := table{head}
	for hop := range slices.Chunk(f, len(quantiles)) {
		line := []string{hop[0].label}
		for _, figure := range hop {
			line = append(line, number(figure.Median))
		}
		shown = append(shown, line)
	}
	return shown
}

// table is lines of cells; the first line names the columns, the first column what
// the others are about.
type table [][]string

// text writes the table, with an empty line before it.
func (t table) text(out *bytes.Buffer) {
	if len(t) == 0 {
		return
	}
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	out.WriteString("\n")
	for _, row := range t {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			if last := i+2 == len(row); last && cell != "" && (cell[0] < '0' || cell[0] > '9') {
				line += "  " + cell // a word, such as a unit
			} else {
				line += fmt.Sprintf("  %*s", widths[i+1], cell)
			}
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// number writes three digits or more, and thousands apart.
func number(v float64) string {
	switch size := max(v, -v); {
	case size >= 1000:
		digits := fmt.Sprintf("%.0f", v)
		for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
			digits = digits[:at] + "," + digits[at:]
		}
		return digits
	case size >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
