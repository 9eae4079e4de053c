package exports

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
)

// tooLong leaves out a row that has no end within the bound.
func (s *csvSource) tooLong() error {
	for {
		at := bytes.IndexByte(s.buf[s.begin:s.end], '\n')
		if at >= 0 {
			s.consume(at, 1)
			break
		}
		s.begin = s.end
		if s.done != nil {
			s.lines++
			if !errors.Is(s.done, io.EOF) {
				return s.broken(s.done)
			}
			break
		}
		s.fill()
	}
	return &RowError{
		File: s.file, Line: s.at, Reason: "the line is longer than " + strconv.Itoa(s.max) + " bytes",
		Remedy: "a cell of this size is damage: deliver the export again",
	}
}

// broken says that the input ended before its end.
func (s *csvSource) broken(err error) error {
	var told *FileError
	if errors.As(err, &told) {
		told.Line = s.lines + 1
		return told
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &FileError{File: s.file, Line: s.lines + 1, Reason: "the file cannot be read any further", Remedy: "run it again: it goes on here", Err: err}
}

// lineEnd returns how many bytes after begin the first line end at or after from is.
// The last line may lack one. errLong: not within max; io.EOF: nothing is there.
func (s *csvSource) lineEnd(from int) (int, error) {
	for searched := from; ; {
		if s.begin+searched <= s.end {
			if at := bytes.IndexByte(s.buf[s.begin+searched:s.end], '\n'); at >= 0 {
				if searched+at > s.max {
					return 0, errLong
				}
				return searched + at, nil
			}
		}
		rest := s.end - s.begin
		if rest > s.max {
			return 0, errLong
		}
		if s.done != nil {
			if errors.Is(s.done, io.EOF) && rest > 0 && from < rest {
				return rest, nil
			}
			return 0, s.done
		}
		searched = max(searched, rest)
		s.fill()
	}
}

// fill reads more. What is not consumed stays, and may move within buf.
func (s *csvSource) fill() {
	if s.begin > 0 {
		s.end = copy(s.buf, s.buf[s.begin:s.end])
		s.begin = 0
	}
	if s.end == len(s.buf) {
		s.buf = slices.Grow(s.buf, len(s.buf))[:2*len(s.buf)]
	}
	for range 100 {
		n, err := s.input.Read(s.buf[s.end:])
		s.end += n
		s.done = err
		if n > 0 || err != nil {
			return
		}
	}
	s.done = io.ErrNoProgress
}

// consume leaves so many bytes and the line end after them behind.
func (s *csvSource) consume(length, lines int) {
	s.begin = min(s.begin+length+1, s.end)
	s.lines += int64(lines)
}
