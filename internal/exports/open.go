package exports

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// opened is a file that is being read.
type opened struct {
	file  File
	blob  blobFile
	input *bufio.Reader
	unzip *gzip.Reader // nil: the file is not compressed
	read  atomic.Int64 // bytes of the file as stored
	close sync.Once
}

// openFile opens a file as it is stored. Errors are *FileError.
func openFile(ctx context.Context, file File) (*opened, error) {
	blob, err := openBlob(ctx, file)
	if err != nil {
		var told *FileError
		if errors.As(err, &told) {
			return nil, err
		}
		return nil, &FileError{File: file.URL, Reason: "the file cannot be opened", Remedy: remedyOpen(file.URL), Err: err}
	}
	return newOpened(file, blob), nil
}

func newOpened(file File, blob blobFile) *opened {
	o := &opened{file: file, blob: blob}
	o.input = bufio.NewReaderSize(o, 256<<10)
	return o
}

func remedyOpen(url string) string {
	if strings.Contains(url, "://") {
		return "check the address, the region and the credentials in the environment"
	}
	return "check the path and who may read it"
}

// Read counts what is read.
func (o *opened) Read(b []byte) (int, error) {
	n, err := o.blob.Read(b)
	o.read.Add(int64(n))
	return n, err
}

// Close closes the file, once.
func (o *opened) Close() error {
	var err error
	o.close.Do(func() { err = o.blob.Close() })
	return err
}

// What the first bytes of a file tell.
var magics = []struct {
	bytes, reason, remedy string
}{
	{"PK\x03\x04", "the file is a zip archive", "unpack it and name what is in it"},
	{"\x28\xb5\x2f\xfd", "the file is compressed by zstd", "unpack it, or compress it by gzip"},
	{"BZh", "the file is compressed by bzip2", "unpack it, or compress it by gzip"},
	{"\xff\xfe", "the file is UTF-16", "save it as UTF-8"},
	{"\xfe\xff", "the file is UTF-16", "save it as UTF-8"},
}

// table tells the format from the first bytes and finds the feed's columns.
func (o *opened) table(ctx context.Context, f *feed, opts Options) (*table, error) {
	first, err := o.first()
	if err != nil {
		return nil, err
	}
	source, err := o.source(ctx, f, opts, first)
	if err != nil {
		return nil, err
	}
	return newTable(ctx, o.file.URL, f, source, opts.FromRow)
}

// first returns the bytes that tell the format, and refuses those of formats that
// nobody reads.
func (o *opened) first() ([]byte, error) {
	first, err := o.input.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &FileError{File: o.file.URL, Reason: "the file cannot be read", Remedy: remedyOpen(o.file.URL), Err: err}
	}
	for _, m := range magics {
		if bytes.HasPrefix(first, []byte(m.bytes)) {
			return nil, &FileError{File: o.file.URL, Reason: m.reason, Remedy: m.remedy}
		}
	}
	return first, nil
}

func (o *opened) source(ctx context.Context, f *feed, opts Options, first []byte) (source, error) {
	if string(first) == "PAR1" {
		return newParquet(ctx, o, f)
	}
	rowMax := opts.RowMax
	if rowMax <= 0 {
		rowMax = RowMaxDefault
	}
	input, err := o.text(first)
	if err != nil {
		return nil, err
	}
	return newCSV(o.file.URL, input, rowMax, f.known())
}

// text returns what the file holds, unpacked.
func (o *opened) text(first []byte) (io.Reader, error) {
	if !bytes.HasPrefix(first, []byte{0x1f, 0x8b}) {
		return o.input, nil
	}
	unzip, err := gzip.NewReader(o.input)
	if err != nil {
		return nil, o.damagedGzip(err)
	}
	o.unzip = unzip
	return readerFunc(o.unzipped), nil
}

// unzipped reads on, and says of an end before the end what it is.
func (o *opened) unzipped(b []byte) (int, error) {
	n, err := o.unzip.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = o.damagedGzip(err)
	}
	return n, err
}

func (o *opened) damagedGzip(err error) error {
	var told *FileError
	switch {
	case errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return &FileError{
			File: o.file.URL, Reason: fmt.Sprintf("the gzip data ends after %d bytes, before its end: the file is cut off", o.read.Load()),
			Remedy: "copy or deliver the file again; the rows before this line are good",
		}
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum):
		return &FileError{File: o.file.URL, Reason: "the gzip data is damaged", Remedy: "copy or deliver the file again", Err: err}
	}
	return &FileError{File: o.file.URL, Reason: "the gzip data cannot be read", Remedy: "copy or deliver the file again", Err: err}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
