package testenv

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// updateEnv makes Golden write instead of compare; `make golden` sets it.
const updateEnv = "SLUICE_UPDATE_GOLDEN"

// Golden compares got with the file at path, byte for byte, and fails the test
// where they differ. With SLUICE_UPDATE_GOLDEN=1 it writes the file instead: read
// the difference before you commit it.
func Golden(t testing.TB, path string, got []byte) {
	t.Helper()
	if os.Getenv(updateEnv) != "" {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil { //nolint:gosec // part of the repository
			t.Fatalf("testenv: write golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: make golden", path)
	}
	if err != nil {
		t.Fatalf("testenv: read golden file: %v", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (after a deliberate change: make golden)\n%s", path, firstDifference(want, got))
	}
}

// firstDifference shows the first line that differs.
func firstDifference(want, got []byte) string {
	wantLines, gotLines := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range max(len(wantLines), len(gotLines)) {
		w, g := lineAt(wantLines, i), lineAt(gotLines, i)
		if w != g {
			return "- " + w + "\n+ " + g
		}
	}
	return ""
}

func lineAt(lines [][]byte, i int) string {
	if i < len(lines) {
		return string(lines[i])
	}
	return "(end of file)"
}
