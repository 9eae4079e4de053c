package main

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sluice-gems/sluice/internal/exports"
)

// rejectsFile keeps rejected rows as CSV. It is made with the first of them; a run that
// goes on adds to it.
type rejectsFile struct {
	path  string
	file  *os.File
	known map[rejectedRow]bool // that were kept before and may come again
}

// rejectedRow names a row of a file.
type rejectedRow struct {
	file string
	row  int64
}

var rejectsHeader = []string{"file", "row", "line", "column", "reason", "remedy"}

// Begin implements backfill.Refusals: it drops what a killed process wrote and did not
// commit, since those rows come again.
func (r *rejectsFile) Begin(file string, from, upTo int64) error {
	if r.known == nil {
		r.known = map[rejectedRow]bool{}
	}
	old, err := os.Open(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	fresh, err := os.CreateTemp(filepath.Dir(r.path), ".rejected-*")
	if err != nil {
		return err
	}
	err = errors.Join(r.copy(csv.NewWriter(fresh), csv.NewReader(old), file, from, upTo), fresh.Sync(), fresh.Close(), r.close())
	if err == nil {
		err = os.Rename(fresh.Name(), r.path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
	}
	return err
}

// copy copies what is not of a file's rows behind upTo, and remembers those behind from.
// A last line that was cut off by a kill is left out.
func (r *rejectsFile) copy(to *csv.Writer, old *csv.Reader, file string, from, upTo int64) error {
	for {
		record, err := old.Read()
		if errors.Is(err, io.EOF) || errors.Is(err, csv.ErrFieldCount) || errors.Is(err, csv.ErrQuote) {
			to.Flush()
			return to.Error()
		}
		if err != nil {
			return err
		}
		if row, err := strconv.ParseInt(record[1], 10, 64); err == nil && record[0] == file && row > from {
			if row > upTo {
				continue
			}
			r.known[rejectedRow{file, row}] = true
		}
		if err := to.Write(record); err != nil {
			return err
		}
	}
}

// Keep implements backfill.Refusals.
func (r *rejectsFile) Keep(list []*exports.RowError) error {
	var rows [][]string
	if r.file == nil {
		file, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) // reasons may quote what a row says
		if err != nil {
			return err
		}
		r.file = file
		if info, err := file.Stat(); err == nil && info.Size() == 0 {
			rows = append(rows, rejectsHeader)
		}
	}
	for _, e := range list {
		if r.known[rejectedRow{e.File, e.Row}] {
			continue
		}
		rows = append(rows, []string{e.File, strconv.FormatInt(e.Row, 10), strconv.FormatInt(e.Line, 10), e.Column, e.Reason, e.Remedy})
	}
	return errors.Join(csv.NewWriter(r.file).WriteAll(rows), r.file.Sync())
}

// used returns the path of the file, if there is one.
func (r *rejectsFile) used() string {
	if _, err := os.Stat(r.path); err != nil {
		return ""
	}
	return r.path
}

func (r *rejectsFile) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
