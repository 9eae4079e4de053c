package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Prometheus returns the path of a program of Prometheus, "prometheus" or "promtool":
// that of the PATH, or what `make prometheus` unpacked into the user's cache folder.
func Prometheus(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	path := filepath.Join(cache, "sluice", "prometheus", "usr", "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("testenv: %s is missing: run `make prometheus` once (%v)", name, err)
	}
	return path
}
