package main

import (
	"encoding/csv"
	"errors"
	"os"
)

// listFile makes a CSV file of a list that names players: only its owner may read it,
// also when it was there before. each writes one row, end completes the file. No path:
// both do nothing.
func listFile[T any](path string, columns []string, row func(T) []string) (each func(T) error, end func() error, err error) {
	if path == "" {
		return func(T) error { return nil }, func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() { // none is a terminal, say
		if err := file.Chmod(0o600); err != nil {
			return nil, nil, errors.Join(err, file.Close())
		}
	}
	w := csv.NewWriter(file)
	if err := w.Write(columns); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return func(one T) error { return w.Write(row(one)) }, func() error {
		w.Flush()
		return errors.Join(w.Error(), file.Close())
	}, nil
}
