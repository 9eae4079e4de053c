package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// journal is a file of entries, one JSON line each, only ever added to. A line
// is in the file before its answer leaves, so that a kill -9 of the process
// costs nothing that was answered. It is not synced to the disk: a power cut may
// cost the newest lines, which is good enough for simulated money.
type journal struct {
	file *os.File
	size int64 // bytes of whole lines
	torn error // a part of a line that could not be taken back: nothing may follow it
	log  *slog.Logger
}

// openJournal replays path into b and opens it for more. A last line without
// its newline was never answered: it is cut off. Any other line that cannot be
// read is an error, since everything after it would be wrong.
func openJournal(path string, b *books, log *slog.Logger) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{file: file, log: log}
	if err := j.replay(b); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), file.Close())
	}
	return j, nil
}

func (j *journal) replay(b *books) error {
	reader := bufio.NewReaderSize(j.file, 1<<16)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				j.log.Warn("journal ends in a torn line, which is cut off", "line", number, "bytes", len(line))
			}
			return j.rewind()
		}
		if err != nil {
			return err
		}
		e, err := parseEntry(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		b.apply(e)
		j.size += int64(len(line))
	}
}

func parseEntry(line []byte) (entry, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var e entry
	if err := decoder.Decode(&e); err != nil {
		return entry{}, err
	}
	members := 0
	for _, is := range []bool{e.Set != nil, e.Applied != nil, e.Store != nil} {
		if is {
			members++
		}
	}
	if members != 1 {
		return entry{}, errors.New("it is not one of a set, an applied and a store entry")
	}
	return e, nil
}

// append writes one line. When that fails, what was written of it is taken
// back; when that fails, too, every later append returns the same error.
func (j *journal) append(e entry) error {
	if j.torn != nil {
		return j.torn
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	line = append(line, '\n')
	if _, err := j.file.Write(line); err != nil {
		if j.torn = j.rewind(); j.torn != nil {
			return errors.Join(fmt.Errorf("journal: %w", err), j.torn)
		}
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(line))
	return nil
}

// clear forgets every line.
func (j *journal) clear() error {
	j.size = 0
	return j.rewind()
}

// rewind cuts the file to its whole lines and goes on behind them.
func (j *journal) rewind() error {
	if err := j.file.Truncate(j.size); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err := j.file.Seek(j.size, io.SeekStart); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if err := j.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
