package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Record is what became of one request. Times are Unix nanoseconds.
type Record struct {
	Intended int64 // when it was to be sent; in a closed loop the same as Sent
	Sent     int64
	Answered int64 // or when its connection broke
	Caller   uint32
	Answer
}

const recordSize = 3*8 + 4 + 2 + 16

// recorder writes records to a file; safe for concurrent use.
type recorder struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	one  [recordSize]byte
	err  error // the first
}

func newRecorder(path string) (*recorder, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	return &recorder{file: file, out: bufio.NewWriterSize(file, 1<<20)}, nil
}

func (r *recorder) add(one Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.one[:0]
	for _, t := range []int64{one.Intended, one.Sent, one.Answered} {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	b = binary.LittleEndian.AppendUint32(b, one.Caller)
	b = binary.LittleEndian.AppendUint16(b, uint16(one.Status))
	b = append(b, one.ID[:]...)
	if _, err := r.out.Write(b); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.err, r.out.Flush(), r.file.Close()); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// ReadRecords calls do with every record of a file.
func ReadRecords(path string, do func(Record)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	in := bufio.NewReaderSize(file, 1<<20)
	for raw := make([]byte, recordSize); ; {
		if _, err := io.ReadFull(in, raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("records %s: %w", path, err)
		}
		r := Record{
			Intended: int64(binary.LittleEndian.Uint64(raw)), Sent: int64(binary.LittleEndian.Uint64(raw[8:])),
			Answered: int64(binary.LittleEndian.Uint64(raw[16:])), Caller: binary.LittleEndian.Uint32(raw[24:]),
		}
		r.Status = int(binary.LittleEndian.Uint16(raw[28:]))
		copy(r.ID[:], raw[30:])
		do(r)
	}
}
